import { decodeElements, isElementType } from "@quern/tensor";
import type { ForwardKernels, ForwardMath } from "../forward/kernels.ts";

/**
 * The operations of a forward pass as their formulas say, in double precision with results rounded once: what fast kernels and
 * the evaluator are compared with.
 */
export const referenceMath: ForwardMath = {
  gemm({ m, n, k, a, b, bType = "F32", transposeB = false, c }) {
    const numbers = numbersOf(bType, b);
    for (let row = 0; row < m; row++) {
      for (let column = 0; column < n; column++) {
        let sum = 0;
        for (let index = 0; index < k; index++) {
          const factor = transposeB ? numbers[column * k + index]! : numbers[index * n + column]!;
          sum += a[row * k + index]! * factor;
        }
        c[row * n + column] = sum;
      }
    }
  },
  rmsNorm({ x, y, rows, columns, weight, epsilon }) {
    eachRow(rows, columns, (row) => {
      const squares = mean(columns, (column) => x[row + column]! ** 2);
      const scale = 1 / Math.sqrt(squares + epsilon);
      for (let column = 0; column < columns; column++) {
        y[row + column] = x[row + column]! * scale * (weight?.[column] ?? 1);
      }
    });
  },
  layerNorm({ x, y, rows, columns, weight, bias, epsilon }) {
    eachRow(rows, columns, (row) => {
      const center = mean(columns, (column) => x[row + column]!);
      const variance = mean(columns, (column) => (x[row + column]! - center) ** 2);
      const scale = 1 / Math.sqrt(variance + epsilon);
      for (let column = 0; column < columns; column++) {
        const normalized = (x[row + column]! - center) * scale;
        y[row + column] = normalized * (weight?.[column] ?? 1) + (bias?.[column] ?? 0);
      }
    });
  },
  activate({ kind, x, y, up, count = x.length }) {
    for (let index = 0; index < count; index++) {
      y[index] = FUNCTIONS[kind](x[index]!) * (up?.[index] ?? 1);
    }
  },
  addScaled({ x, y, alpha = 1, count = x.length }) {
    for (let index = 0; index < count; index++) y[index]! += alpha * x[index]!;
  },
  addBias({ y, bias, rows, columns }) {
    eachRow(rows, columns, (row) => {
      for (let column = 0; column < columns; column++) y[row + column]! += bias[column]!;
    });
  },
  rope({ x, tokens, heads, headSize, rotated = headSize, cos, sin, layout }) {
    const pairs = rotated / 2;
    for (let token = 0; token < tokens; token++) {
      for (let head = 0; head < heads; head++) {
        const start = (token * heads + head) * headSize;
        for (let pair = 0; pair < pairs; pair++) {
          const first = start + (layout === "halves" ? pair : 2 * pair);
          const second = first + (layout === "halves" ? pairs : 1);
          const [a, b] = [x[first]!, x[second]!];
          const [c, s] = [cos[token * pairs + pair]!, sin[token * pairs + pair]!];
          x[first] = a * c - b * s;
          x[second] = a * s + b * c;
        }
      }
    }
  },
  attention(params) {
    const { q, k, v, y, tokens, keys, heads, kvHeads, headSize, valueSize = headSize } = params;
    const { scale, before = Infinity, after = 0, softCap, sinks } = params;
    for (let token = 0; token < tokens; token++) {
      for (let head = 0; head < heads; head++) {
        const group = Math.floor((head * kvHeads) / heads);
        const query = (token * heads + head) * headSize;
        const visible = range(keys).filter((key) => key >= token - before && key <= token + after);
        const scores = visible.map((key) => {
          const start = (key * kvHeads + group) * headSize;
          const dot = range(headSize).reduce((sum, index) => sum + q[query + index]! * k[start + index]!, 0);
          return softCap === undefined ? dot * scale : softCap * Math.tanh((dot * scale) / softCap);
        });
        const weights = softmax(sinks === undefined ? scores : [...scores, sinks[head]!]);
        for (let index = 0; index < valueSize; index++) {
          y[(token * heads + head) * valueSize + index] = visible.reduce(
            (sum, key, place) => sum + weights[place]! * v[(key * kvHeads + group) * valueSize + index]!,
            0,
          );
        }
      }
    }
  },
};

/** The reference operations as kernels. */
export const referenceKernels: ForwardKernels = {
  math: referenceMath,
  dequantize: ({ type, source, target }) => target.set(numbersOf(type, source)),
};

const FUNCTIONS: Readonly<Record<Parameters<ForwardMath["activate"]>[0]["kind"], (x: number) => number>> = {
  silu: (x) => x / (1 + Math.exp(-x)),
  gelu: (x) => (x / 2) * (1 + erf(x / Math.SQRT2)),
  "gelu-tanh": (x) => (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  "gelu-quick": (x) => x / (1 + Math.exp(-1.702 * x)),
  relu: (x) => Math.max(x, 0),
  "relu-squared": (x) => Math.max(x, 0) ** 2,
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
};

/** Maclaurin series up to 3, beyond that the continued fraction of erfc (Abramowitz and Stegun 7.1.6 and 7.1.14). */
function erf(x: number): number {
  const size = Math.abs(x);
  if (size < 3) {
    let term = (2 / Math.sqrt(Math.PI)) * x * Math.exp(-x * x);
    let sum = term;
    for (let index = 1; Math.abs(term) > 1e-18; index++) {
      term *= (2 * x * x) / (2 * index + 1);
      sum += term;
    }
    return sum;
  }
  let fraction = 0;
  for (let index = 60; index > 0; index--) fraction = index / 2 / (size + fraction);
  const rest = Math.exp(-size * size) / Math.sqrt(Math.PI) / (size + fraction);
  return Math.sign(x) * (1 - rest);
}

/** Values of E2M1 by code (ggml-common.h, `kvalues_mxfp4`, halved). */
const E2M1 = [0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6];

const decoded = new WeakMap<object, Float32Array>();

function numbersOf(type: string, data: Float32Array | Uint8Array): Float32Array {
  if (data instanceof Float32Array) return data;
  const known = decoded.get(data);
  if (known !== undefined) return known;
  const numbers = isElementType(type) ? decodeElements({ type, bytes: data }) : decodeMxfp4(type, data);
  decoded.set(data, numbers);
  return numbers;
}

/** Blocks of an exponent and 16 bytes: the low nibbles are the first 16 elements, the high ones the others (ggml-quants.c). */
function decodeMxfp4(type: string, bytes: Uint8Array): Float32Array {
  if (type !== "MXFP4") throw new Error(`the reference does not read ${type}`);
  const numbers = new Float32Array((bytes.length / 17) * 32);
  for (let block = 0; block < bytes.length / 17; block++) {
    const scale = 2 ** (bytes[block * 17]! - 127);
    for (let index = 0; index < 16; index++) {
      const byte = bytes[block * 17 + 1 + index]!;
      numbers[block * 32 + index] = E2M1[byte & 15]! * scale;
      numbers[block * 32 + 16 + index] = E2M1[byte >> 4]! * scale;
    }
  }
  return numbers;
}

function softmax(logits: readonly number[]): number[] {
  const largest = Math.max(...logits);
  const powers = logits.map((logit) => Math.exp(logit - largest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

function eachRow(rows: number, columns: number, visit: (start: number) => void): void {
  for (let row = 0; row < rows; row++) visit(row * columns);
}

function mean(count: number, value: (index: number) => number): number {
  return range(count).reduce((sum, index) => sum + value(index), 0) / count;
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}
