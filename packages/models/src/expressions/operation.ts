import type { ExpressionType, TensorExpression, TensorReader } from "./expression.ts";

/** What an operation may ask for. */
export interface OperationContext {
  readonly reader: Pick<TensorReader, "info" | "readRows">;
  /** Shape and element type of an input. */
  typeOf(expression: TensorExpression): ExpressionType;
  /** Memory for a result, which the operation must fill: it may hold anything. */
  allocate(size: number): Uint8Array;
  /** Bytes of rows [start, start + count) of an input seen as rows x last dimension. */
  rowsOf(expression: TensorExpression, start: number, count: number): Promise<Uint8Array>;
}

/** A kind of node. Adding one is a file in `operations/` and a line in `registry.ts`. */
export interface Operation<Expression extends TensorExpression = TensorExpression> {
  readonly name: string;
  /**
   * Shape and element type of the result, which follow from those of the inputs.
   *
   * @throws QuernError `EXPRESSION_INVALID` when inputs and parameters do not fit together
   */
  type(expression: Expression, context: OperationContext): ExpressionType;
  /**
   * Bytes of rows [start, start + count) of the result, little-endian. They may be those that an input gave, which is why no
   * operation writes to what it was given. Called with at least one row, after the expression has been typed and the range
   * checked.
   */
  rows(
    expression: Expression,
    range: { readonly start: number; readonly count: number },
    context: OperationContext,
  ): Promise<Uint8Array>;
  /** Where the rows of the result lie: in memory that `allocate` or the reader gave, or where those of the input do. @default in a new array */
  readonly result?: "allocated" | "input";
  /** Bytes of further arrays that it makes, for all rows. @default none to speak of */
  readonly ownBytes?: (expression: Expression) => number;
  /** Whether a node stands for a tensor of the checkpoint, which is called `name`. */
  readonly isTensor?: true;
  /** Whether the last two axes are exchanged, and nothing else. */
  readonly exchangesAxes?: true;
  /** What is added to every element, which stays in its place; 0 where only the type changes. */
  readonly addend?: (expression: Expression) => number;
  /**
   * Of operations that move rows as a whole: whatever the rows of the inputs are labelled with, for the rows of the result.
   * undefined: rows do not stay what they are.
   */
  readonly moveRows?: (
    expression: Expression,
    labels: readonly Int32Array[],
    axes: MovedAxes,
  ) => Int32Array | undefined;
}

/** Shapes without the last axis, or with it where each element is a row of its own (biases). */
export interface MovedAxes {
  readonly inputs: readonly (readonly number[])[];
  readonly result: readonly number[];
}
