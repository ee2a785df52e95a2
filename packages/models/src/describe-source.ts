import { QuernError } from "@quern/tensor";
import { describeGguf, type GgufInputTensor } from "./describe-gguf.ts";
import { describeModel } from "./describe-model.ts";
import type { ModelDescription, ModelInput } from "./model.ts";
import type { GgufMetadata } from "@quern/gguf";

/** A GGUF file as it has been opened. */
interface GgufSource {
  readonly name: string;
  readonly metadata: GgufMetadata;
  readonly tensors: ReadonlyMap<string, GgufInputTensor>;
}

/** A model that has been opened: a Hugging Face checkpoint or a GGUF file. */
export type DescribableSource = Pick<ModelInput, "files" | "tensors" | "readTensor"> | GgufSource;

/** Whether weights come as GGUF rather than from a Hugging Face checkpoint. */
export function isGguf<Gguf extends GgufSource>(source: Pick<ModelInput, "files"> | Gguf): source is Gguf {
  return "metadata" in source;
}

type SourceOptions = Pick<ModelInput, "preTokenizer">;

/** By source, and by the pre-tokenizer that was asked for. */
const descriptions = new WeakMap<object, Map<string | undefined, Promise<ModelDescription>>>();

/**
 * What is to be known about a model before weights are read. A source is described once, however many ask: vocabularies are long to read,
 * the more over a network, and what was opened stays what it was. Whoever wants to see what has become of its files opens it again.
 *
 * @throws QuernError `RECIPE_OPTION` for a pre-tokenizer where the vocabulary is there already, and the codes of `describeGguf` and
 * `describeModel`
 */
export async function describeSource(
  source: DescribableSource,
  options: SourceOptions = {},
): Promise<ModelDescription> {
  const known = descriptions.get(source) ?? new Map<string | undefined, Promise<ModelDescription>>();
  descriptions.set(source, known);
  const found = known.get(options.preTokenizer);
  if (found !== undefined) return found;
  const description = describe(source, options);
  known.set(options.preTokenizer, description);
  // A connection may break for a while.
  description.catch(() => known.delete(options.preTokenizer));
  return description;
}

async function describe(source: DescribableSource, options: SourceOptions): Promise<ModelDescription> {
  if (!isGguf(source)) {
    const { files, tensors } = source;
    const readTensor = source.readTensor?.bind(source);
    return describeModel({ files, tensors, ...(readTensor === undefined ? {} : { readTensor }), ...options });
  }
  if (options.preTokenizer !== undefined) {
    throw new QuernError("RECIPE_OPTION", "preTokenizer means nothing for GGUF, which has its vocabulary", {
      subject: { key: "preTokenizer" },
    });
  }
  const { name, metadata, tensors } = source;
  return describeGguf({ name, metadata, tensors: tensors.values() });
}
