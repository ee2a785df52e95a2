import { ggmlType } from "@quern/gguf";
import { QuernError } from "@quern/tensor";
import type { Importance } from "../importance/importance.ts";

/**
 * Whether there are weights for a tensor, of the right number.
 *
 * @param tensor.source Name that the tensor had before layers were left out: weights are called by it.
 * @throws QuernError `IMPORTANCE_REQUIRED`, `IMPORTANCE_MISMATCH`
 */
export function findImportance(
  tensor: {
    readonly source: string;
    readonly type: string;
    readonly ne: readonly number[];
    readonly requiresImportance: boolean;
  },
  importance: Importance | undefined,
): boolean {
  const { source: name, type, ne, requiresImportance } = tensor;
  const weights = importance?.weights.get(name);
  const [columns = 1, _rows, ...matrices] = ne;
  const expected = matrices.reduce((product, dimension) => product * dimension, columns);
  if (weights !== undefined && weights.length !== expected && !IGNORED_MISMATCH.has(name)) {
    throw new QuernError(
      "IMPORTANCE_MISMATCH",
      `${importance!.file} has ${weights.length} weights for tensor "${name}": expected ${expected}. Is it of another model?`,
      { subject: { file: importance!.file, tensor: name } },
    );
  }
  const found = weights?.length === expected && ggmlType(type).blockSize > 1;
  if (found || !requiresImportance) return found;
  throw new QuernError(
    "IMPORTANCE_REQUIRED",
    `${type} for tensor "${name}" makes sense only with importance weights, and ` +
      (importance === undefined ? "none are given" : `${importance.file} has none for it`),
    { subject: { tensor: name } },
  );
}

/** Their inputs are tokens, not vectors: `llama-quantize` warns, and goes on without. */
const IGNORED_MISMATCH: ReadonlySet<string> = new Set(["token_embd.weight", "per_layer_token_embd.weight"]);
