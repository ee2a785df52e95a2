import { QuernError } from "@quern/tensor";
import type { Matrix } from "../matrix.ts";
import { uniformAt } from "../random.ts";
import { hadamardMatrix } from "./hadamard.ts";

/** An orthogonal matrix R of size x size: rotating what passes between layers spreads outliers over all columns. */
export interface Rotation {
  readonly size: number;
  /** x R */
  readonly forward: (x: Float64Array) => Float64Array;
  /** x R^T */
  readonly backward: (x: Float64Array) => Float64Array;
}

/** Larger matrices are no longer multiplied in no time. */
const LARGEST_BASE = 256;

/**
 * diag(random signs) times a Hadamard matrix over the square root of its size (QuaRot, Ashkboos et al. 2024): 2^k times one of
 * `hadamardMatrix`. Sizes that have none are rotated in blocks of the largest size that divides them and has one.
 *
 * @throws QuernError `QUANTIZE_OPTION` for odd sizes but 1, which nothing is gained for
 */
export function randomizedHadamard({
  size,
  seed = 0,
}: {
  readonly size: number;
  readonly seed?: number;
}): Rotation {
  if (!(Number.isInteger(size) && size >= 1 && (size === 1 || size % 2 === 0))) {
    throw new QuernError("QUANTIZE_OPTION", `a Hadamard rotation needs an even size, not ${size}`);
  }
  const { block, base, matrix } = factorsOf(size);
  const scale = 1 / Math.sqrt(block);
  const signs = Float64Array.from({ length: size }, (_, i) => (uniformAt(seed, i) < 0.5 ? -scale : scale));
  const transposed = matrix.map((_, i) => matrix[(i % base) * base + Math.floor(i / base)]!);
  const multiply = (x: Float64Array, by: Int8Array): Float64Array => {
    for (let start = 0; start < size; start += base) multiplyPart(x.subarray(start, start + base), by);
    for (let start = 0; start < size; start += block) butterflies(x.subarray(start, start + block), base);
    return x;
  };
  return {
    size,
    forward: (x) =>
      multiply(
        x.map((value, i) => value * signs[i]!),
        matrix,
      ),
    backward: (x) => multiply(x.slice(), transposed).map((value, i) => value * signs[i]!),
  };
}

/** Rotated inputs: W R, so that (x R) (W R)^T = x W^T. Rounded to F32 once. */
export function rotateInputs({ rows, columns, values }: Matrix, rotation: Rotation): Matrix {
  checkSize("inputs", columns, rotation);
  const rotated = new Float32Array(rows * columns);
  for (let start = 0; start < rotated.length; start += columns) {
    rotated.set(rotation.forward(Float64Array.from(values.subarray(start, start + columns))), start);
  }
  return { rows, columns, values: rotated };
}

/** Rotated outputs: R^T W, so that x (R^T W)^T = (x W^T) R. Rounded to F32 once; a bias is rotated as `rotation.forward(bias)`. */
export function rotateOutputs({ rows, columns, values }: Matrix, rotation: Rotation): Matrix {
  checkSize("outputs", rows, rotation);
  const rotated = new Float32Array(rows * columns);
  for (let column = 0; column < columns; column++) {
    const outputs = Float64Array.from({ length: rows }, (_, row) => values[row * columns + column]!);
    rotation.forward(outputs).forEach((value, row) => (rotated[row * columns + column] = value));
  }
  return { rows, columns, values: rotated };
}

function checkSize(what: string, found: number, { size }: Rotation): void {
  if (found === size) return;
  throw new QuernError("QUANTIZE_SHAPE", `a rotation of size ${size} does not fit ${found} ${what}`);
}

/** The largest block that divides the size, as 2^k times the smallest matrix that there is. */
function factorsOf(size: number): {
  readonly block: number;
  readonly base: number;
  readonly matrix: Int8Array;
} {
  for (let block = size; ; block /= 2) {
    if (block % 2 !== 0) return { block: size / oddPart(size), base: 1, matrix: Int8Array.of(1) };
    for (let base = oddPart(block); base <= Math.min(block, LARGEST_BASE); base *= 2) {
      const matrix = hadamardMatrix(base);
      if (matrix) return { block, base, matrix };
    }
  }
}

function oddPart(value: number): number {
  return value % 2 === 0 ? oddPart(value / 2) : value;
}

/** x := x M */
function multiplyPart(x: Float64Array, matrix: Int8Array): void {
  const size = x.length;
  if (size === 1) return;
  const before = x.slice();
  x.fill(0);
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) x[j]! += before[i]! * matrix[i * size + j]!;
  }
}

/** The product with 2^k, each entry standing for `width` numbers: k rounds of sums and differences. */
function butterflies(x: Float64Array, width: number): void {
  for (let distance = width; distance < x.length; distance *= 2) {
    for (let start = 0; start < x.length; start += 2 * distance) {
      for (let i = start; i < start + distance; i++) {
        const [a, b] = [x[i]!, x[i + distance]!];
        x[i] = a + b;
        x[i + distance] = a - b;
      }
    }
  }
}
