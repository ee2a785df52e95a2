// What matrix operations should give, in F64 and as plainly as it can be said.

/** Element (row, column) of a matrix of floats. */
export type Elements = (row: number, column: number) => number;

/** Rows of `stride` elements, or the transpose of that. */
export function elementsOf(data: ArrayLike<number>, stride: number, transposed = false): Elements {
  return transposed
    ? (row, column) => data[column * stride + row]!
    : (row, column) => data[row * stride + column]!;
}

/** One element of a product, and the sum of the magnitudes of its terms. */
export function dot(depth: number, left: (k: number) => number, right: (k: number) => number) {
  let sum = 0;
  let magnitude = 0;
  for (let k = 0; k < depth; k++) {
    const term = left(k) * right(k);
    sum += term;
    magnitude += Math.abs(term);
  }
  return { sum, magnitude };
}

export interface ReferenceAttentionParams {
  readonly q: Elements;
  readonly k: Elements;
  readonly v: Elements;
  readonly tokens: number;
  readonly keys: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headSize: number;
  readonly valueSize: number;
  readonly scale: number;
  readonly firstPosition: number;
  readonly before: number;
  readonly after: number;
  readonly softCap?: number | undefined;
  readonly sinks?: ArrayLike<number> | undefined;
}

/** tokens x heads x valueSize */
export function referenceAttention(params: ReferenceAttentionParams): Float64Array {
  const { q, k, v, tokens, keys, heads, kvHeads, headSize, valueSize, softCap, sinks } = params;
  const y = new Float64Array(tokens * heads * valueSize);
  for (let token = 0; token < tokens; token++) {
    const position = params.firstPosition + token;
    for (let head = 0; head < heads; head++) {
      const shared = Math.floor(head / (heads / kvHeads));
      const seen: number[] = [];
      const scores: number[] = [];
      for (let key = 0; key < keys; key++) {
        if (key < position - params.before || key > position + params.after) continue;
        const { sum } = dot(
          headSize,
          (i) => q(token, head * headSize + i),
          (i) => k(key, shared * headSize + i),
        );
        const score = sum * params.scale;
        seen.push(key);
        scores.push(softCap === undefined ? score : softCap * Math.tanh(score / softCap));
      }
      const largest = Math.max(...scores, sinks ? sinks[head]! : -Infinity);
      const weights = scores.map((score) => Math.exp(score - largest));
      let total = sinks ? Math.exp(sinks[head]! - largest) : 0;
      for (const weight of weights) total += weight;
      for (const [index, key] of seen.entries()) {
        for (let i = 0; i < valueSize; i++) {
          y[(token * heads + head) * valueSize + i]! +=
            (weights[index]! / total) * v(key, shared * valueSize + i);
        }
      }
    }
  }
  return y;
}

/** The error function by its Taylor series, or 1 minus the continued fraction of its complement (Abramowitz and Stegun 7.1.5, 7.1.14). */
export function complementaryErrorFunction(x: number): number {
  if (x < 0) return 2 - complementaryErrorFunction(-x);
  if (x < 2.5) {
    let term = x;
    let sum = x;
    for (let n = 1; n < 80; n++) {
      term *= (-x * x) / n;
      sum += term / (2 * n + 1);
    }
    return 1 - (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = 0;
  for (let n = 120; n > 0; n--) fraction = n / 2 / (x + fraction);
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / (x + fraction);
}
