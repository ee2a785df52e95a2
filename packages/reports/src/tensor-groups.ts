import type { ErrorRecord, OutputRecord, TensorRecord } from "./conversion.ts";
import { addSums, errorRecord } from "./error-record.ts";

/** Weights of a tensor. */
export function elementsOf({ shape }: Pick<TensorRecord, "shape">): number {
  return shape.reduce((product, length) => product * length, 1);
}

/** Errors of tensors together; undefined where none has any. */
export function errorsOf(tensors: readonly TensorRecord[]): ErrorRecord | undefined {
  const sums = addSums(
    tensors.flatMap((tensor) => {
      const { errors } = tensor;
      if (errors === undefined) return [];
      const { output, ...figures } = errors;
      return {
        ...figures,
        elements: elementsOf(tensor),
        ...(output === undefined ? {} : { weighted: output }),
      };
    }),
  );
  return sums === undefined ? undefined : errorRecord(sums);
}

/** Tensors by a property, in the order of first appearance. */
export function groupBy<Key>(
  tensors: readonly TensorRecord[],
  keyOf: (tensor: TensorRecord) => Key,
): Map<Key, TensorRecord[]> {
  const groups = new Map<Key, TensorRecord[]>();
  for (const tensor of tensors) {
    const key = keyOf(tensor);
    const group = groups.get(key) ?? [];
    group.push(tensor);
    groups.set(key, group);
  }
  return groups;
}

/** Tensors of one type in an output. */
export interface TypeGroup {
  readonly type: string;
  readonly tensors: number;
  readonly elements: number;
  /** Of the weights of the output, 0..1. */
  readonly share: number;
  readonly bitsPerWeight: number;
  readonly errors?: ErrorRecord;
}

/** The types of an output, that with most weights first. */
export function typesOf(output: OutputRecord): TypeGroup[] {
  const elements = (tensors: readonly TensorRecord[]): number =>
    tensors.reduce((sum, tensor) => sum + elementsOf(tensor), 0);
  const all = elements(output.tensors);
  const groups = [...groupBy(output.tensors, ({ type }) => type)].map(([type, tensors]): TypeGroup => {
    const count = elements(tensors);
    const errors = errorsOf(tensors);
    return {
      type,
      tensors: tensors.length,
      elements: count,
      share: count / all,
      bitsPerWeight: (tensors.reduce((sum, { bytes }) => sum + bytes, 0) * 8) / count,
      ...(errors === undefined ? {} : { errors }),
    };
  });
  return groups.sort((a, b) => b.elements - a.elements);
}
