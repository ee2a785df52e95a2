import type { OpenExpression } from "../../expressions/expression.ts";
import type { RotationOf } from "../../expressions/operations/rotate.ts";
import type { ScaleFactors } from "../../expressions/operations/scale.ts";

/** What becomes of the inputs of a layer: they are divided by column, or blocks of their columns are rotated. */
export type InputChange =
  | { readonly divided: NonNullable<ScaleFactors["columns"]> }
  | { readonly rotated: Pick<RotationOf, "size" | "seed" | "starts"> };

/** What changes of a weight's columns mean for what the layer reads, one after the other. */
export function inputChanges(changes: readonly OpenExpression[]): InputChange[] {
  return changes.flatMap((change): InputChange[] => {
    const { operation, axis, columns } = change as OpenExpression & Partial<RotationOf & ScaleFactors>;
    if (operation === "scale" && columns !== undefined) return [{ divided: columns }];
    if (operation !== "rotate" || axis !== "columns") return [];
    const { size, seed, starts } = change as OpenExpression & RotationOf;
    return [{ rotated: { size, seed, ...(starts && { starts }) } }];
  });
}
