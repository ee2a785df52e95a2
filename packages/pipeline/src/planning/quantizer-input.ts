import type { GgufModel } from "@quern/checkpoints";
import type { GgufMetadata, GgufTensorSpec } from "@quern/gguf";
import type { ModelDescription, ModelTensor } from "@quern/models";
import { quantizedTensorOrder, storageFormat } from "../mixtures/index.ts";
import type { ModelSource } from "../plan.ts";
import type { OutputRequest } from "../recipe.ts";
import { isGguf } from "@quern/models";
import { losslessFloatType } from "./float-type.ts";
import { refuseOptions } from "./file-contents.ts";
import { storedAs } from "./stored-as.ts";

/** A tensor of the file that is quantized. */
export interface InputTensor extends GgufTensorSpec {
  /** What it is made from. */
  readonly model: ModelTensor;
  /** Which file of a split set it is in, from 0. */
  readonly file: number;
}

/** The file that `llama-quantize` would be given: one that is there, or the one that the converter would have written. */
export interface QuantizerInput {
  readonly metadata: GgufMetadata;
  /** In the order in which they are written. */
  readonly tensors: readonly InputTensor[];
  /** Type of its matrices, where it exists only in the mind. */
  readonly intermediate?: string;
}

/** @throws QuernError `RECIPE_OPTION` */
export function quantizerInput(params: {
  readonly request: OutputRequest;
  readonly model: ModelDescription;
  readonly source: ModelSource;
}): QuantizerInput {
  const { request, model, source } = params;
  return isGguf(source) ? fileInput(request, model, source) : intermediateInput(request, model);
}

function intermediateInput(request: OutputRequest, model: ModelDescription): QuantizerInput {
  refuseOptions({ request, where: "a checkpoint: it is no GGUF that was split" }, ["keepSplit"]);
  const { intermediate = "auto" } = request;
  const format = storageFormat(intermediate === "auto" ? losslessFloatType(model.tensors) : intermediate);
  const tensors = model.tensors.map((tensor): InputTensor => {
    const { ne, type } = storedAs(tensor, format);
    return { name: tensor.name, ne, type, model: tensor, file: 0 };
  });
  return {
    metadata: model.metadata({ fileType: format.fileType }),
    tensors: quantizedTensorOrder(tensors),
    intermediate: format.type,
  };
}

function fileInput(request: OutputRequest, model: ModelDescription, source: GgufModel): QuantizerInput {
  refuseOptions({ request, where: "GGUF, which is quantized as it is" }, ["intermediate"]);
  const offset = ({ name }: InputTensor): number => source.tensors.get(name)!.offset;
  const tensors = model.tensors.map((tensor): InputTensor => {
    const { ggmlType: type, ne, file } = source.tensors.get(tensor.name)!;
    return { name: tensor.name, ne, type, model: tensor, file };
  });
  return {
    metadata: source.metadata,
    tensors:
      request.keepSplit === true
        ? tensors.sort((a, b) => a.file - b.file || offset(a) - offset(b))
        : quantizedTensorOrder(tensors),
  };
}
