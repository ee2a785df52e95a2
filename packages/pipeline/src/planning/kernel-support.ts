import type { Kernels, KernelSourceType } from "@quern/kernels";
import { expressionSources, type ModelTensor } from "@quern/models";
import { QuernError } from "@quern/tensor";
import type { FileContents } from "./plan-file.ts";

/** Element types that kernels read. */
const SOURCE_TYPES: ReadonlySet<string> = new Set<KernelSourceType>([
  "F64",
  "F32",
  "F16",
  "BF16",
  "F8_E4M3",
  "F8_E5M2",
]);

/** @throws QuernError `TENSOR_TYPE_UNSUPPORTED` for weights that kernels cannot read */
export function checkSourceTypes(tensors: readonly ModelTensor[]): void {
  for (const { name, sourceType, storage, expression } of tensors) {
    if (typeof storage === "object" || SOURCE_TYPES.has(sourceType)) continue;
    const sources = expressionSources(expression).join(", ");
    throw new QuernError(
      "TENSOR_TYPE_UNSUPPORTED",
      `Tensor "${name}" (from ${sources}) has ${sourceType} elements: expected one of ${[...SOURCE_TYPES].join(", ")}`,
      { subject: { tensor: name } },
    );
  }
}

/** @throws QuernError `RECIPE_UNSUPPORTED` for types that kernels cannot write; those that are copied need none */
export function checkKernelTypes(kernels: Kernels, { type, tensors }: FileContents): void {
  const missing = tensors.find((tensor) => !tensor.packed && !kernels.types.includes(tensor.type));
  if (missing === undefined) return;
  throw new QuernError(
    "RECIPE_UNSUPPORTED",
    `${type} needs ${missing.type} for tensor "${missing.name}", which the kernels cannot write: they know ${kernels.types.join(", ")}`,
    { subject: { tensor: missing.name } },
  );
}
