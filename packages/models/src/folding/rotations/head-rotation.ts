import type { AttentionGraph } from "../../forward/graph.ts";
import type { FoldedPart, Foldings } from "../folding.ts";
import type { HeadRotation, RotatedPart } from "./model-rotations.ts";

/** The rotation of the values of a block's heads, all by the same matrix; or the reason why there is none. */
export function headRotation(
  attention: AttentionGraph,
  { layer, foldings, omitted }: Foldings & { readonly layer: number },
): HeadRotation | string {
  const { output, heads } = attention;
  const size = output.inputs / heads;
  if (size % 2 !== 0) return `its heads have values of ${size} elements, an odd number`;
  const folding = foldings.find(
    ({ divides, readers }) => divides === "linear" && readers.some(({ module }) => module === output.module),
  );
  if (folding === undefined) {
    return omitted.find((place) => place.layer === layer)?.reason ?? "nothing can be folded before it";
  }
  const parts: RotatedPart[] = [];
  for (const part of [...folding.divided, ...folding.multiplied]) {
    const rotated = headsOf(part, size);
    if (rotated === undefined) return `heads do not stand together in "${part.tensor}"`;
    parts.push(rotated);
  }
  return { layer, size, parts };
}

/** The heads that a part consists of; undefined where their elements are not side by side, in order. */
function headsOf(
  { tensor, shape, axis, firstRow, rows, columnOf }: FoldedPart,
  size: number,
): RotatedPart | undefined {
  const width = shape.at(-1)!;
  const allRows = shape.slice(0, -1).reduce((product, length) => product * length, 1);
  if (axis === "columns" && rows !== allRows) return undefined;
  const length = axis === "rows" ? rows : width;
  const columnAt = (index: number): number => columnOf?.[index] ?? index;
  const starts: number[] = [];
  for (let index = 0; index < length;) {
    const column = columnAt(index);
    if (column < 0) {
      index += 1;
      continue;
    }
    if (column % size !== 0) return undefined;
    for (let next = 1; next < size; next++) if (columnAt(index + next) !== column + next) return undefined;
    starts.push((axis === "rows" ? firstRow : 0) + index);
    index += size;
  }
  return { tensor, axis, starts: Int32Array.from(starts) };
}
