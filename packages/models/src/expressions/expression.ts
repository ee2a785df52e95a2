import type { ElementType, TensorInfo } from "@quern/tensor";

/**
 * How an output tensor is made from tensors of the checkpoint: a tree of plain data (it travels to workers by structured clone).
 *
 * Every node has a shape (row-major) and an element type that follow from its inputs. Evaluation is by row slabs: a tensor of
 * shape [..., columns] is `rows = product(leading dimensions)` rows of `columns` elements.
 */
export interface TensorExpression {
  /** Name of a registered operation: "source", "permute", "transpose", "concatenate", "add", ... (`registry.ts`) */
  readonly operation: string;
  readonly inputs?: readonly TensorExpression[];
  /** Parameters of the operation: JSON, and arrays of numbers where there are many. */
  readonly [parameter: string]: unknown;
}

/** An operation on one tensor without that tensor. */
export type OpenExpression = Omit<TensorExpression, "inputs"> & { readonly operation: string };

/** Reads rows of tensors of the checkpoint. */
export interface TensorReader {
  /** Shape and type of a tensor. */
  info(name: string): TensorInfo;
  /** Bytes of rows [start, start + count) of the tensor seen as rows x last dimension. */
  readRows(name: string, start: number, count: number): Promise<Uint8Array>;
}

export interface ExpressionType {
  readonly type: ElementType;
  readonly shape: readonly number[];
}
