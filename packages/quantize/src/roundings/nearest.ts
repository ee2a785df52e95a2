import { decodeMatrix, encodeMatrix } from "../grids/matrix-codes.ts";
import type { Rounding } from "./rounding.ts";

/** Every weight becomes the nearest value of its tile (RTN). Codes are chosen before scales are quantized themselves. */
export function nearest(): Rounding {
  return {
    name: "nearest",
    needs: [],
    refuses: () => undefined,
    round({ matrix, grid, fitting, math }) {
      const fitted = grid.open(matrix);
      fitted.fit({ ...fitting, values: matrix.values });
      const codes = encodeMatrix({ grid: fitted, matrix, math });
      fitted.settle();
      return { grid: fitted, codes, values: decodeMatrix({ grid: fitted, shape: matrix, codes, math }) };
    },
  };
}
