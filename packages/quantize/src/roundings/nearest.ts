import { decodeAll, type Rounding } from "./rounding.ts";

/** Every weight becomes the nearest value of its tile (RTN). Codes are chosen before scales are quantized themselves. */
export function nearest(): Rounding {
  return {
    name: "nearest",
    needs: [],
    refuses: () => undefined,
    round({ matrix, grid, fitting }) {
      const { rows, columns, values } = matrix;
      const fitted = grid.open(matrix);
      fitted.fit({ ...fitting, values });
      const codes = new Uint8Array(rows * columns);
      for (let row = 0, i = 0; row < rows; row++) {
        for (let column = 0; column < columns; column++, i++) {
          codes[i] = fitted.encode(row, column, values[i]!);
        }
      }
      fitted.settle();
      return { grid: fitted, codes, values: decodeAll(fitted, matrix, codes) };
    },
  };
}
