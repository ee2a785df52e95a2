import { planGguf } from "@quern/gguf";
import { storageFormat } from "../mixtures/index.ts";
import type { PlannedTensor } from "../plan.ts";
import type { OutputRequest, Recipe } from "../recipe.ts";
import { isPacked } from "../conversion/weight-type.ts";
import { fallbackOf, type FileContents, type FileParams, refuseOptions } from "./file-contents.ts";
import { storedAs } from "./stored-as.ts";

const QUANTIZER_OPTIONS = [
  "intermediate",
  "pure",
  "leaveOutputTensor",
  "outputTensorType",
  "tokenEmbeddingType",
  "tensorTypes",
  "allowRequantize",
  "pruneLayers",
  "keepSplit",
] as const satisfies readonly (keyof OutputRequest)[];

/** Plans a file as llama.cpp's converter writes it. @throws as `planConversion` */
export function planConverterFile({ request, model }: FileParams, { name: type }: Recipe): FileContents {
  refuseOptions({ request, where: `${type} as the converter writes it` }, QUANTIZER_OPTIONS);
  const format = storageFormat(type);
  const metadata = model.metadata({ fileType: format.fileType });
  for (const [key, value] of request.metadata ?? []) metadata.set(key, value);
  const choices = model.tensors.map((tensor) => ({ tensor, ...storedAs(tensor, format) }));
  const layout = planGguf({
    metadata,
    tensors: choices.map(({ tensor, ...choice }) => ({ ...choice, name: tensor.name })),
  });
  const tensors = layout.tensors.map((placed, index): PlannedTensor => {
    const { tensor, fallbackFrom } = choices[index]!;
    return {
      ...placed,
      source: tensor.name,
      packed: isPacked(tensor),
      requantized: false,
      usesImportance: false,
      ...fallbackOf(fallbackFrom, placed.ne),
    };
  });
  return { type, flavour: "converter", tensors, layout };
}
