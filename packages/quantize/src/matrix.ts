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
  if (!allFinite(values)) {
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

/** Four sums at a time, since they do not wait for each other: of finite values they are 0, and NaN as soon as one is not. */
function allFinite(values: Float32Array): boolean {
  let [a, b, c, d] = [0, 0, 0, 0];
  const whole = values.length - (values.length % 4);
  for (let i = 0; i < whole; i += 4) {
    a += values[i]! - values[i]!;
    b += values[i + 1]! - values[i + 1]!;
    c += values[i + 2]! - values[i + 2]!;
    d += values[i + 3]! - values[i + 3]!;
  }
  for (let i = whole; i < values.length; i++) a += values[i]! - values[i]!;
  return a + b + c + d === 0;
}
