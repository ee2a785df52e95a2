import { rowSize } from "@quern/gguf";
import {
  chooseFactors,
  findMember,
  membersOf,
  outputError,
  roundMatrix,
  scaleColumns,
  scaleHessian,
  TRANSFORMS,
} from "@quern/quantize";

/**
 * Rounds all layers that share their inputs.
 *
 * @param method `{ type }` for what ggml does with a type and the diagonal of the Hessian (`{ type, plain: true }`: without it), or a
 * treatment of @quern/quantize, with `transform` where there is one.
 * @param targets by module, rows x columns in shared memory: what the layers become
 * @returns the error of the outputs, relative to them
 */
export function roundGroup({ modules, method, statistics, targets, parameters, kernels }) {
  const hessian = { matrix: statistics.matrix, tokens: statistics.tokens };
  const layers = modules.map((module) => matrixOf(parameters.get(`${module}.weight`), kernels));
  const { math } = kernels;
  const rounded = method.type ? ggmlRows : treated;
  const values = rounded({ method, layers, hessian, statistics, kernels });
  modules.forEach((module, i) => targets.get(module).set(values[i]));
  const errors = layers.map(
    (matrix, i) => outputError({ matrix, values: values[i], hessian: hessian.matrix, math }).relative,
  );
  return { errors };
}

function matrixOf({ type, shape, data }, kernels) {
  const [rows, columns] = shape;
  const values = new Float32Array(rows * columns);
  kernels.dequantize({
    type,
    rows,
    columns,
    source: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
    target: values,
  });
  return { rows, columns, values };
}

function ggmlRows({ method: { type, plain }, layers, hessian, kernels }) {
  const n = layers[0].columns;
  const importance = plain
    ? undefined
    : Float32Array.from({ length: n }, (_, j) => hessian.matrix[j * (n + 1)] / hessian.tokens);
  return layers.map(({ rows, columns, values: weights }) => {
    const source = new Uint8Array(weights.buffer);
    const target = new Float32Array(weights.length);
    const blocks = new Uint8Array(rowSize(type, columns) * rows);
    kernels.quantize({
      type,
      sourceType: "F32",
      source,
      target: blocks,
      rows,
      columns,
      importance,
    });
    kernels.dequantize({ type, source: blocks, target, rows, columns });
    return target;
  });
}

function treated({ method, layers, hessian, statistics, kernels }) {
  const { math } = kernels;
  const members = membersOf(method, { kernels });
  const { grid, calibrator } = members;
  const columns = layers[0].columns;
  const meanMagnitudes = Float32Array.from(statistics.magnitudes, (sum) => sum / statistics.tokens);
  const largestMagnitudes = statistics.largest;
  const transform =
    method.transform && findMember(TRANSFORMS, method.transform.name)(method.transform.options ?? {});
  const factors =
    transform &&
    chooseFactors({ layers, transform, grid, calibrator, hessian, meanMagnitudes, largestMagnitudes, math })
      .factors;
  const seen = factors ? scaleHessian(hessian, factors) : hessian;
  return layers.map((layer) => {
    const matrix = factors ? scaleColumns(layer, factors) : layer;
    const result = roundMatrix({ matrix, ...members, hessian: seen, math });
    return factors ? result.values.map((value, i) => value / factors[i % columns]) : result.values;
  });
}
