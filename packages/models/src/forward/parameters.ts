import { QuernError } from "@quern/tensor";

/** A tensor of the model in memory, in the row order of GGUF. */
export interface Parameter {
  /** What the elements are stored as: any type that kernels read. */
  readonly type: string;
  /** Row-major. */
  readonly shape: readonly number[];
  /** Float32Array for F32. */
  readonly data: Float32Array | Uint8Array;
}

/** Tensors by GGUF name: all that a part of the graph lists, more do no harm. */
export type ParameterSet = ReadonlyMap<string, Parameter>;

/** @throws QuernError `FORWARD_TENSOR_MISSING` */
export function parameterOf(parameters: ParameterSet, name: string): Parameter {
  const parameter = parameters.get(name);
  if (parameter !== undefined) return parameter;
  throw new QuernError("FORWARD_TENSOR_MISSING", `the tensor "${name}" has not been given`, {
    subject: { tensor: name },
  });
}

/** Numbers of a tensor that has to be in F32: norms, biases and whatever else is no matrix of a linear layer. */
export function numbersOf(parameters: ParameterSet, name: string): Float32Array {
  const { type, data } = parameterOf(parameters, name);
  if (data instanceof Float32Array) return data;
  throw new QuernError("FORWARD_TENSOR_INVALID", `the tensor "${name}" is stored as ${type}: expected F32`, {
    subject: { tensor: name },
  });
}

/** Matrix `index` of several stored one after the other. */
export function matrixOf(parameter: Parameter, params: { index: number; count: number }): Parameter["data"] {
  const { index, count } = params;
  const size = parameter.data.length / count;
  return parameter.data.subarray(index * size, (index + 1) * size);
}
