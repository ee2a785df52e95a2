import type { Span } from "../hessian/spans.ts";

/**
 * The block of a Hessian that belongs to some columns, as a sum of squares: with errors e in the given order, e H e^T is the sum over
 * places p of `weights[p] * (e_p + sum over k < p of e_k * factors[k, p])^2` (LDLQ's factors).
 */
export interface LocalForm {
  /** Column, from the first one of the span on, at each place: large inputs first. */
  readonly order: Int32Array;
  /** width x width, zero on and below the diagonal. */
  readonly factors: Float32Array;
  readonly weights: Float32Array;
}

/** Computed in F64. */
export function localForm(params: {
  /** columns x columns, positive definite. */
  readonly hessian: Float32Array;
  readonly columns: number;
  readonly span: Span;
}): LocalForm {
  const { hessian, columns, span } = params;
  const n = span.end - span.start;
  const at = (i: number, j: number): number => hessian[(span.start + i) * columns + span.start + j]!;
  const order = Int32Array.from({ length: n }, (_, i) => i).sort((a, b) => at(b, b) - at(a, a) || a - b);
  const factors = new Float64Array(n * n);
  const weights = new Float64Array(n);
  // H = (I + F) diag(weights) (I + F)^T, from the last place to the first.
  for (let p = n - 1; p >= 0; p--) {
    let weight = at(order[p]!, order[p]!);
    for (let k = p + 1; k < n; k++) weight -= factors[p * n + k]! ** 2 * weights[k]!;
    // Rounding of a Hessian to F32 may leave nothing of a direction that hardly occurs.
    weights[p] = Math.max(weight, 1e-7 * at(order[p]!, order[p]!));
    for (let i = 0; i < p; i++) {
      let sum = at(order[i]!, order[p]!);
      for (let k = p + 1; k < n; k++) sum -= factors[i * n + k]! * factors[p * n + k]! * weights[k]!;
      factors[i * n + p] = sum / weights[p]!;
    }
  }
  return { order, factors: Float32Array.from(factors), weights: Float32Array.from(weights) };
}

const { fround } = Math;

/** Solves x H = g in place, in F32, operation by operation; g by place. */
export function solveLocal({ factors, weights }: LocalForm, g: Float32Array): void {
  const n = weights.length;
  for (let k = n - 1; k > 0; k--) {
    for (let p = 0; p < k; p++) g[p]! -= fround(factors[p * n + k]! * g[k]!);
  }
  for (let p = 0; p < n; p++) g[p]! /= weights[p]!;
  for (let k = 0; k < n; k++) {
    for (let p = k + 1; p < n; p++) g[p]! -= fround(factors[k * n + p]! * g[k]!);
  }
}
