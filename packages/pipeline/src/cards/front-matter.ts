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

/** Tags that name a container, which is another now. */
const CONTAINER_TAGS: ReadonlySet<string> = new Set([
  "awq",
  "bitsandbytes",
  "compressed-tensors",
  "fp8",
  "gguf",
  "gptq",
  "mlx",
  "onnx",
  "safetensors",
]);

/**
 * The front matter of a quantized model: which model it was made of, and what stays true of that one: licence, languages, task and tags.
 *
 * @param params.baseModel "org/name" of the model; links of its card that are relative lead there. @default unknown
 * @param params.card Text of the model's card; one that cannot be read has nothing to give.
 * @param params.task Task, where that card has none.
 * @param params.library What loads the quantized model, as the Hub calls it (huggingface.js, packages/tasks/src/model-libraries.ts).
 * @param params.tags Of the quantized model.
 */
export function quantizedMetadata(params: {
  readonly baseModel: string | undefined;
  readonly card: string | undefined;
  readonly task: string | undefined;
  readonly library: string;
  readonly tags: readonly string[];
}): Record<string, unknown> {
  const { baseModel, card, task, library, tags } = params;
  const source = metadataOf(card);
  const kept = INHERITED.flatMap((key) => (source[key] === undefined ? [] : [[key, source[key]] as const]));
  const known = Array.isArray(source["tags"]) ? source["tags"] : [];
  const theirs = known.filter((tag): tag is string => typeof tag === "string" && !CONTAINER_TAGS.has(tag));
  return {
    ...(baseModel === undefined ? {} : { base_model: baseModel, base_model_relation: "quantized" }),
    library_name: library,
    ...(task === undefined ? {} : { pipeline_tag: task }),
    ...linked(Object.fromEntries(kept), baseModel),
    tags: [...new Set([...tags, ...theirs])],
  };
}

/** The task of a model by its config.json, for the front matter: known of those that predict the next token. */
export function taskOf(config: Readonly<Record<string, unknown>>): string | undefined {
  const { architectures } = config;
  const [name] = Array.isArray(architectures) ? (architectures as readonly unknown[]) : [];
  return typeof name === "string" && /(?:CausalLM|LMHeadModel)$/.test(name) ? "text-generation" : undefined;
}

function linked(values: Record<string, unknown>, baseModel: string | undefined): Record<string, unknown> {
  const { license_link: link, ...others } = values;
  if (typeof link !== "string" || /^https?:/.test(link)) return values;
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
