import type { GgufModel } from "@quern/checkpoints";
import { describeGguf, describeModel, type ModelDescription } from "@quern/models";
import { QuernError } from "@quern/tensor";
import type { ModelSource, PlanParams } from "../plan.ts";

/** Whether weights come as GGUF rather than from a Hugging Face checkpoint. */
export function isGguf(source: ModelSource): source is GgufModel {
  return "metadata" in source;
}

/**
 * What is to be known about a model before weights are read.
 *
 * @throws QuernError `RECIPE_OPTION` for a pre-tokenizer where the vocabulary is there already, and the codes of `describeGguf` and
 * `describeModel`
 */
export async function describeSource(
  { checkpoint: source, preTokenizer }: Pick<PlanParams, "checkpoint" | "preTokenizer">,
  onWarning: (warning: QuernError) => void,
): Promise<ModelDescription> {
  if (!isGguf(source)) {
    const { files, tensors } = source;
    return describeModel({
      files,
      tensors,
      onWarning,
      ...(preTokenizer === undefined ? {} : { preTokenizer }),
    });
  }
  if (preTokenizer !== undefined) {
    throw new QuernError("RECIPE_OPTION", "preTokenizer means nothing for GGUF, which has its vocabulary", {
      subject: { key: "preTokenizer" },
    });
  }
  const { name, metadata, tensors } = source;
  return describeGguf({ name, metadata, tensors: tensors.values() });
}
