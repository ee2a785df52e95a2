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

/**
 * Whether kernels can write a file. Tensors that are copied need none.
 *
 * @throws QuernError `RECIPE_UNSUPPORTED` for types that they do not know, `IMPORTANCE_REQUIRED` for those that they cannot write
 * without importance, such as a type that was asked for by name for a tensor that no importance is measured for.
 */
export function checkKernelTypes(kernels: Kernels, { type, tensors }: FileContents): void {
  const written = tensors.filter((tensor) => !tensor.packed);
  const missing = written.find((tensor) => !kernels.types.includes(tensor.type));
  if (missing !== undefined) {
    throw new QuernError(
      "RECIPE_UNSUPPORTED",
      `${type} needs ${missing.type} for tensor "${missing.name}", which the kernels cannot write: they know ${kernels.types.join(", ")}`,
      { subject: { tensor: missing.name } },
    );
  }
  const bare = written.find((tensor) => !tensor.usesImportance && kernels.requiresImportance(tensor.type));
  if (bare !== undefined) {
    throw new QuernError(
      "IMPORTANCE_REQUIRED",
      `${bare.type} for tensor "${bare.name}" takes importance weights, and there are none for it`,
      { subject: { tensor: bare.name } },
    );
  }
}
