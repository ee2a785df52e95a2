import { parseModelCard } from "@quern/models";
import { QuernError } from "@quern/tensor";
import { stringify } from "yaml";

/** Keys of a model's front matter that stay true when it is quantized. */
const INHERITED = ["license", "license_name", "license_link", "language", "pipeline_tag"];

/**
 * The front matter of a card, with its lines of dashes. Texts that YAML 1.1 reads as something else ("no") are in quotes: readers of
 * either version understand the same.
 */
export function frontMatter(values: Readonly<Record<string, unknown>>): string {
  return `---\n${stringify(values, { version: "1.1", lineWidth: 0 })}---`;
}

/** What says which model a quantized one was made of. */
export function baseModelMetadata(id: string | undefined): Record<string, string> {
  return id === undefined ? {} : { base_model: id, base_model_relation: "quantized" };
}

/**
 * What the card of a quantized model takes over from that of the model: licence, languages and task.
 *
 * @param card Text of the model's card; one that cannot be read has nothing to give.
 * @param baseModel "org/name" of the model, to which links that are relative lead.
 */
export function inheritedMetadata(
  card: string | undefined,
  baseModel: string | undefined,
): Record<string, unknown> {
  const values = metadataOf(card);
  const kept = INHERITED.flatMap((key) => (values[key] === undefined ? [] : [[key, values[key]] as const]));
  const inherited = Object.fromEntries(kept);
  const link = inherited["license_link"];
  if (typeof link !== "string" || /^https?:/.test(link)) return inherited;
  const { license_link: _, ...others } = inherited;
  if (baseModel === undefined) return others;
  return { ...others, license_link: `https://huggingface.co/${baseModel}/blob/main/${link}` };
}

function metadataOf(card: string | undefined): Readonly<Record<string, unknown>> {
  try {
    return parseModelCard(card ?? "");
  } catch (error) {
    if (error instanceof QuernError) return {};
    throw error;
  }
}
