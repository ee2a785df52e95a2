import { byteSize, QuernError } from "@quern/tensor";
import type { ExpressionType, TensorExpression, TensorReader } from "./expression.ts";
import type { Operation, OperationContext } from "./operation.ts";
import { OPERATIONS } from "./registry.ts";
import { rowShape } from "./row-shape.ts";

/**
 * Shape and element type of an expression.
 *
 * @throws QuernError `EXPRESSION_INVALID` when the parts do not fit together, `EXPRESSION_OPERATION_UNKNOWN`, and what
 * `reader.info` throws for a tensor that the checkpoint lacks
 */
export function expressionType(
  expression: TensorExpression,
  reader: Pick<TensorReader, "info">,
): ExpressionType {
  return contextOf({ info: (name) => reader.info(name), readRows: noRows }).typeOf(expression);
}

/**
 * Bytes of some rows of an expression, little-endian, packed.
 *
 * Reads only what these rows need. Beside the result, an operation holds at most twice its size, a transposition a strip of
 * a few MiB.
 *
 * @param params.firstRow First of the rows of the expression seen as rows x last dimension.
 * @param params.rows How many; 0 gives an empty array.
 * @param params.allocate Gives memory of a size for the result and what it is joined from, where numbers may lie; it need not be zeroed, and is the
 * caller's again once the result has been used. Default: new arrays.
 * @throws QuernError `EXPRESSION_ROWS_OUT_OF_RANGE`, the codes of {@link expressionType} and what `reader` throws
 */
export async function evaluateRows(
  expression: TensorExpression,
  params: {
    readonly reader: TensorReader;
    readonly firstRow: number;
    readonly rows: number;
    readonly allocate?: (size: number) => Uint8Array;
  },
): Promise<Uint8Array> {
  const { reader, firstRow, rows, allocate } = params;
  const context = contextOf(reader, allocate);
  const available = rowShape(context.typeOf(expression)).rows;
  const whole = Number.isInteger(firstRow) && Number.isInteger(rows) && firstRow >= 0 && rows >= 0;
  if (!whole || firstRow + rows > available) {
    throw new QuernError(
      "EXPRESSION_ROWS_OUT_OF_RANGE",
      `rows ${firstRow} to ${firstRow + rows} are not inside the ${available} rows of ${expression.operation}`,
    );
  }
  return rows === 0 ? new Uint8Array(0) : context.rowsOf(expression, firstRow, rows);
}

/** Names of the checkpoint's tensors that an expression reads, in order of appearance, each once. */
export function expressionSources(expression: TensorExpression): string[] {
  const names = new Set<string>();
  const visit = (node: TensorExpression): void => {
    if (node.operation === "source") names.add(node["name"] as string);
    node.inputs?.forEach(visit);
  };
  visit(expression);
  return [...names];
}

/**
 * What it takes to evaluate all rows of an expression.
 *
 * @returns bytes of each piece of memory that the reader and the caller give, the result last unless it lies elsewhere, and of all arrays that are left to
 * the garbage collector
 */
export function expressionMemory(
  expression: TensorExpression,
  reader: Pick<TensorReader, "info">,
): { readonly allocated: readonly number[]; readonly own: number } {
  const inputs = (expression.inputs ?? []).map((input) => expressionMemory(input, reader));
  const { result, ownBytes } = operationOf(expression);
  const size = byteSize(expressionType(expression, reader));
  const own = (result === undefined ? size : 0) + (ownBytes?.(expression) ?? 0);
  return {
    allocated: [...inputs.flatMap(({ allocated }) => allocated), ...(result === "allocated" ? [size] : [])],
    own: inputs.reduce((sum, input) => sum + input.own, own),
  };
}

/** Whether rows stay rows: the columns of the tensors of the checkpoint that it is made from are those of the result. */
export function keepsRows(expression: TensorExpression): boolean {
  const { isTensor, exchangesAxes } = operationOf(expression);
  if (isTensor === true) return true;
  return exchangesAxes !== true && (expression.inputs ?? []).every(keepsRows);
}

/** The expression with others in place of some of the tensors of the checkpoint. */
export function replaceSources(
  expression: TensorExpression,
  replacements: ReadonlyMap<string, TensorExpression>,
): TensorExpression {
  if (expression.operation === "source") return replacements.get(expression["name"] as string) ?? expression;
  if (expression.inputs === undefined) return expression;
  return { ...expression, inputs: expression.inputs.map((input) => replaceSources(input, replacements)) };
}

function contextOf(
  reader: OperationContext["reader"],
  allocate: OperationContext["allocate"] = (size) => new Uint8Array(size),
): OperationContext {
  const types = new Map<TensorExpression, ExpressionType>();
  const context: OperationContext = {
    reader,
    allocate,
    typeOf(expression) {
      let type = types.get(expression);
      if (type === undefined) {
        type = operationOf(expression).type(expression, context);
        types.set(expression, type);
      }
      return type;
    },
    rowsOf: (expression, start, count) => operationOf(expression).rows(expression, { start, count }, context),
  };
  return context;
}

function operationOf(expression: TensorExpression): Operation {
  const operation = OPERATIONS.get(expression.operation);
  if (operation !== undefined) return operation;
  throw new QuernError(
    "EXPRESSION_OPERATION_UNKNOWN",
    `unknown operation "${expression.operation}" in a tensor expression`,
  );
}

function noRows(): Promise<Uint8Array> {
  throw new Error("the type of an expression does not depend on data");
}
