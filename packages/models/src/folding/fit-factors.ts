import { decodeElements, type ElementType, encodeElements } from "@quern/tensor";

/**
 * Factors for which the divided weight of a norm is exactly a number of the type in which it is stored, so that nothing is lost by
 * folding: the weight is divided and rounded, and the factor becomes what the rounded one has to be multiplied with. The factor is 1 where
 * that is not possible: for weights of 0 and such as the type has no quotient for. A bias is rounded all the same.
 *
 * @param params.factors By column, positive.
 * @param params.weight As it is stored in the checkpoint.
 * @param params.offset What the model adds to the stored weight (`FoldedPart.offset`). @default 0
 * @param params.type Of the norm in the output.
 */
export function fitFactors(params: {
  readonly factors: Float32Array;
  readonly weight: Float32Array;
  readonly offset?: number;
  readonly type: ElementType;
}): Float32Array {
  const { factors, weight, offset = 0, type } = params;
  const divided = Float64Array.from(
    factors,
    (factor, column) => (weight[column]! + offset) / factor - offset,
  );
  const stored = decodeElements({ type, bytes: encodeElements({ type, values: divided }) });
  return factors.map((_, column) => {
    const factor = Math.fround((weight[column]! + offset) / (stored[column]! + offset));
    return factor > 0 && factor < Infinity ? factor : 1;
  });
}
