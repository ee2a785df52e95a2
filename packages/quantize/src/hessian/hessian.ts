/** X^T X of a layer's inputs, or its mean over tokens: only proportions count. */
export interface Hessian {
  /** columns x columns, symmetric. Not changed. */
  readonly matrix: Float64Array;
  /** Tokens that it was summed over: decides about damping. */
  readonly tokens: number;
}
