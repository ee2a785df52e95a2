import type { LinearGraph, StackedLinearGraph } from "../graph.ts";
import { matrixOf, numbersOf, parameterOf } from "../parameters.ts";
import { type Evaluation, scoped, takeNumbers } from "./evaluation.ts";
import { quantizeInputs } from "./quantize-inputs.ts";

/** input (rows x inputs) times the transposed weight, plus the bias: rows x outputs. */
export function applyLinear(
  evaluation: Evaluation,
  { module, inputs, outputs, hasBias, inputQuantization }: LinearGraph,
  { input, rows }: { readonly input: Float32Array; readonly rows: number },
): Float32Array {
  const { kernels, parameters, observe } = evaluation;
  observe?.({ module, input, rows, columns: inputs });
  const result = takeNumbers(evaluation, rows * outputs);
  const { type, data } = parameterOf(parameters, `${module}.weight`);
  scoped(evaluation, () =>
    kernels.math.gemm({
      m: rows,
      n: outputs,
      k: inputs,
      a: quantizeInputs(evaluation, inputQuantization, { input, columns: inputs }),
      b: data,
      bType: type,
      transposeB: true,
      c: result,
    }),
  );
  if (hasBias) {
    const bias = numbersOf(parameters, `${module}.bias`);
    kernels.math.addBias({ y: result, bias, rows, columns: outputs });
  }
  return result;
}

/** The same with one of several matrices. */
export function applyMatrix(
  evaluation: Evaluation,
  { module, inputs, outputs, hasBias, matrices, inputQuantization }: StackedLinearGraph,
  params: { readonly input: Float32Array; readonly rows: number; readonly matrix: number },
): Float32Array {
  const { input, rows, matrix } = params;
  const { kernels, parameters, observe } = evaluation;
  observe?.({ module, input, rows, columns: inputs, matrix });
  const result = takeNumbers(evaluation, rows * outputs);
  const weight = parameterOf(parameters, `${module}.weight`);
  scoped(evaluation, () =>
    kernels.math.gemm({
      m: rows,
      n: outputs,
      k: inputs,
      a: quantizeInputs(evaluation, inputQuantization, { input, columns: inputs, matrix }),
      b: matrixOf(weight, { index: matrix, count: matrices }),
      bType: weight.type,
      transposeB: true,
      c: result,
    }),
  );
  if (hasBias) {
    const bias = numbersOf(parameters, `${module}.bias`).subarray(matrix * outputs, (matrix + 1) * outputs);
    kernels.math.addBias({ y: result, bias, rows, columns: outputs });
  }
  return result;
}
