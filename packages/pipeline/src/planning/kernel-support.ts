import type { Kernels } from "@quern/kernels";
import { expressionSources, type ModelDescription, type ModelTensor } from "@quern/models";
import { QuernError } from "@quern/tensor";
import { weightType } from "../conversion/weight-type.ts";
import type { PlannedTensor } from "../plan.ts";
import type { FileContents } from "./file-contents.ts";

/**
 * Checks that kernels can read and write what an output asks for. Tensors that are copied need none.
 *
 * @throws QuernError `TENSOR_TYPE_UNSUPPORTED` for weights that they cannot read, `RECIPE_UNSUPPORTED` for types that they do not
 * know, `IMPORTANCE_REQUIRED` for those that they cannot write without importance, such as a type that was asked for by name for
 * a tensor that no importance is measured for
 */
export function checkKernelTypes(params: {
  readonly kernels: Kernels;
  readonly model: ModelDescription;
  readonly contents: FileContents;
}): void {
  const { kernels, contents } = params;
  const sources = new Map(params.model.tensors.map((tensor) => [tensor.name, tensor]));
  for (const tensor of contents.tensors) {
    if (tensor.packed) continue;
    const source = sources.get(tensor.source)!;
    if (!kernels.sourceTypes.includes(weightType(source))) throw unreadable(source, tensor, kernels);
    if (!kernels.types.includes(tensor.type)) throw unwritable(contents.type, tensor, kernels);
    if (!tensor.usesImportance && kernels.requiresImportance(tensor.type)) throw withoutImportance(tensor);
  }
}

function unreadable(source: ModelTensor, { type }: PlannedTensor, kernels: Kernels): QuernError {
  const names = expressionSources(source.expression).join(", ");
  return new QuernError(
    "TENSOR_TYPE_UNSUPPORTED",
    `Tensor "${source.name}" (from ${names}) is ${weightType(source)} and cannot become ${type}: ` +
      `expected one of ${kernels.sourceTypes.join(", ")}`,
    { subject: { tensor: source.name } },
  );
}

function unwritable(recipe: string, { name, type }: PlannedTensor, kernels: Kernels): QuernError {
  return new QuernError(
    "RECIPE_UNSUPPORTED",
    `${recipe} needs ${type} for tensor "${name}", which the kernels cannot write: they know ${kernels.types.join(", ")}`,
    { subject: { tensor: name } },
  );
}

function withoutImportance({ name, type }: PlannedTensor): QuernError {
  return new QuernError(
    "IMPORTANCE_REQUIRED",
    `${type} for tensor "${name}" takes importance weights, and there are none for it`,
    { subject: { tensor: name } },
  );
}
