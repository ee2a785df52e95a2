import { decodeMatrix } from "../grids/matrix-codes.ts";
import { uniformAt } from "../random.ts";
import type { Rounding } from "./rounding.ts";

/**
 * A weight between two values of its tile becomes one of them, with probabilities that make it right on average. What lies beyond all
 * values becomes the last one. The same seed gives the same codes.
 */
export function stochastic({ seed = 0 }: { readonly seed?: number } = {}): Rounding {
  return {
    name: "stochastic",
    needs: [],
    wholeMatrix: true,
    refuses: () => undefined,
    round({ matrix, grid, fitting, math }) {
      const { rows, columns, values } = matrix;
      const fitted = grid.open(matrix);
      fitted.fit({ ...fitting, values });
      fitted.settle();
      const codes = new Uint8Array(rows * columns);
      for (let row = 0, i = 0; row < rows; row++) {
        for (let column = 0; column < columns; column++, i++) {
          const weight = values[i]!;
          const near = fitted.encode(row, column, weight);
          const value = fitted.decode(row, column, near);
          const far = fitted.neighbour(row, column, near, weight > value);
          const step = fitted.decode(row, column, far) - value;
          // The share of the way to the other value; no way at all where the code is the last one.
          const share = weight === value || step === 0 ? 0 : (weight - value) / step;
          codes[i] = uniformAt(seed, i) < share ? far : near;
        }
      }
      return { grid: fitted, codes, values: decodeMatrix({ grid: fitted, shape: matrix, codes, math }) };
    },
  };
}
