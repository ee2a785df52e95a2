// What a thread needs that evaluates tensors: `@quern/models/expressions`, without the architectures.
export { evaluateRows, expressionMemory, expressionSources, expressionType, keepsRows } from "./evaluate.ts";
export type { ExpressionType, OpenExpression, TensorExpression, TensorReader } from "./expression.ts";
