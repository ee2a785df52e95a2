/** Element-wise functions of feed-forward networks that kernels know. */
export type ElementwiseFunction =
  | "silu"
  | "gelu"
  | "gelu-tanh"
  | "gelu-quick"
  | "relu"
  | "relu-squared"
  | "sigmoid";

/** The operations that a forward pass is made of: the part of `Kernels.math` of @quern/kernels that it uses. Matrices are row-major. */
export interface ForwardMath {
  /** c = op(a) op(b), m x k times k x n; `b` may be stored in any type that kernels read. */
  gemm(params: {
    m: number;
    n: number;
    k: number;
    a: Float32Array;
    b: Float32Array | Uint8Array;
    bType?: string;
    transposeB?: boolean;
    c: Float32Array;
  }): void;
  /** Divides each row by its root mean square, and multiplies it by weights. */
  rmsNorm(params: {
    x: Float32Array;
    y: Float32Array;
    rows: number;
    columns: number;
    weight?: Float32Array;
    epsilon: number;
  }): void;
  /** Moves and scales each row to mean 0 and variance 1, and applies weights and biases. */
  layerNorm(params: {
    x: Float32Array;
    y: Float32Array;
    rows: number;
    columns: number;
    weight?: Float32Array;
    bias?: Float32Array;
    epsilon: number;
  }): void;
  /** y = f(x), or f(x) * up. */
  activate(params: {
    kind: ElementwiseFunction;
    x: Float32Array;
    y: Float32Array;
    up?: Float32Array;
    count?: number;
  }): void;
  /** y += alpha * x */
  addScaled(params: { x: Float32Array; y: Float32Array; alpha?: number; count?: number }): void;
  /** Every row of y += bias. */
  addBias(params: { y: Float32Array; bias: Float32Array; rows: number; columns: number }): void;
  /** Rotates the first `rotated` elements of each head in place; cos and sin are tokens x rotated / 2. */
  rope(params: {
    x: Float32Array;
    tokens: number;
    heads: number;
    headSize: number;
    rotated?: number;
    cos: Float32Array;
    sin: Float32Array;
    layout: "interleaved" | "halves";
  }): void;
  /** Softmax attention of one sequence; a query sees keys from `before` positions before its own to `after` positions after. */
  attention(params: {
    q: Float32Array;
    k: Float32Array;
    v: Float32Array;
    y: Float32Array;
    tokens: number;
    keys: number;
    heads: number;
    kvHeads: number;
    headSize: number;
    valueSize?: number;
    scale: number;
    before?: number;
    after?: number;
    softCap?: number;
    sinks?: Float32Array;
  }): void;
}

/** What a forward pass needs of @quern/kernels; the object that `loadKernels` gives is one. */
export interface ForwardKernels {
  readonly math: ForwardMath;
  /** Numbers of rows x columns elements in any type that kernels read. */
  dequantize(params: {
    type: string;
    source: Uint8Array;
    target: Float32Array;
    rows: number;
    columns: number;
  }): void;
}
