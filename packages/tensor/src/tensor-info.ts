import type { ElementType } from "./element-type.ts";

/** A tensor without its data. */
export interface TensorInfo {
  readonly name: string;
  readonly type: ElementType;
  /** Row-major, slowest dimension first (Hugging Face order). `[]` is a scalar. */
  readonly shape: readonly number[];
}
