import { storageFormat } from "../mixtures/index.ts";
import type { PlannedTensor } from "../plan.ts";
import type { OutputRequest, Recipe } from "../recipe.ts";
import { isPacked } from "../conversion/weight-type.ts";
import { fallbackOf, type FileContents, type FileParams, refuseOptions } from "./file-contents.ts";
import { layOut } from "./lay-out.ts";
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

/** Plans an output as llama.cpp's converter writes it. @throws as `planConversion` */
export function planConverterFile({ request, model }: FileParams, { name: type }: Recipe): FileContents {
  refuseOptions({ request, where: `${type} as the converter writes it` }, QUANTIZER_OPTIONS);
  const format = storageFormat(type);
  const metadata = model.metadata({ fileType: format.fileType });
  for (const [key, value] of request.metadata ?? []) metadata.set(key, value);
  const choices = new Map(
    model.tensors.map((tensor) => [tensor.name, { tensor, name: tensor.name, ...storedAs(tensor, format) }]),
  );
  const layout = layOut({ division: request.split, metadata, tensors: [...choices.values()] });
  const tensors = layout.tensors.map((placed): PlannedTensor => {
    const { tensor, fallbackFrom } = choices.get(placed.name)!;
    return {
      ...placed,
      source: tensor.name,
      packed: isPacked(tensor),
      requantized: false,
      usesImportance: false,
      ...fallbackOf(fallbackFrom, placed.ne),
    };
  });
  return { ...layout, type, flavour: "converter", tensors, warnings: [] };
}
