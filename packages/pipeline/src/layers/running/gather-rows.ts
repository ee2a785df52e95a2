import type { QuantizedMatrix, ScaleParts } from "@quern/quantize";

type Part = Omit<QuantizedMatrix, "codes">;

/**
 * The matrix whose rows have been rounded in parts.
 *
 * @param parts In the order of rows, each of whole tiles.
 * @param codes Of all rows.
 */
export function gatherRows(parts: readonly Part[], codes: Uint8Array): QuantizedMatrix {
  const [first] = parts as [Part];
  if (parts.length === 1) return { ...first, codes };
  const { zeros, offsets, scaleParts } = first;
  return {
    ...first,
    rows: parts.reduce((sum, { rows }) => sum + rows, 0),
    codes,
    scales: joined(parts.map(({ scales }) => scales)),
    ...(zeros && { zeros: joined(parts.map((part) => part.zeros!)) }),
    ...(offsets && { offsets: joined(parts.map((part) => part.offsets!)) }),
    ...(scaleParts && { scaleParts: joinedParts(parts.map((part) => part.scaleParts!)) }),
  };
}

/** What belongs to all scales is the same in all parts: grids for which it is not are not divided. */
function joinedParts(parts: readonly ScaleParts[]): ScaleParts {
  return { ...parts[0]!, codes: joined(parts.map(({ codes }) => codes)) };
}

function joined<A extends Float32Array | Uint8Array>(arrays: readonly A[]): A {
  const length = arrays.reduce((sum, array) => sum + array.length, 0);
  const all = new (arrays[0]!.constructor as new (length: number) => A)(length);
  let offset = 0;
  for (const array of arrays) {
    all.set(array, offset);
    offset += array.length;
  }
  return all;
}
