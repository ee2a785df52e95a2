/** Tokens that a model is run on at once. */
export interface ModelWindow {
  readonly tokens: Int32Array;
  /** Tokens that begin a sequence, from 0 on in ascending order: attention does not reach across them. */
  readonly starts: readonly number[];
}
