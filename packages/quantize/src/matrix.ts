import { QuernError } from "@quern/tensor";

/** Weights of a linear layer: element (row, column) is `values[row * columns + column]`; a row makes one output of the layer. */
export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly values: Float32Array;
}

/** @throws QuernError `QUANTIZE_SHAPE` where sizes do not fit, `QUANTIZE_NOT_FINITE` for NaN or infinity. */
export function checkMatrix({ rows, columns, values }: Matrix): void {
  if (!(Number.isInteger(rows) && Number.isInteger(columns) && rows > 0 && columns > 0)) {
    throw new QuernError("QUANTIZE_SHAPE", `a matrix needs rows and columns, not ${rows} x ${columns}`);
  }
  if (values.length !== rows * columns) {
    throw new QuernError(
      "QUANTIZE_SHAPE",
      `${rows} x ${columns} elements were expected, but there are ${values.length}`,
    );
  }
  // Of finite values this is 0, and NaN as soon as one is not.
  let differences = 0;
  for (let index = 0; index < values.length; index++) differences += values[index]! - values[index]!;
  if (differences !== 0) {
    const index = values.findIndex((value) => !Number.isFinite(value));
    throw new QuernError(
      "QUANTIZE_NOT_FINITE",
      `element ${index} is ${values[index]}; only finite weights can be quantized`,
      { subject: { offset: index } },
    );
  }
}

/** The same elements as one row: for formats whose blocks straddle the rows of a tensor, as those of bitsandbytes do. */
export function flattened({ rows, columns, values }: Matrix): Matrix {
  return { rows: 1, columns: rows * columns, values };
}
