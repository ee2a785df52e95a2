import { argumentError, checkCount } from "./arguments.ts";
import type { Backend } from "./backend.ts";
import type { Kernels } from "./kernels.ts";
import { checkedMath } from "./math/checked-math.ts";

/** Kernels that check every argument before compiled code, which does not, sees it. */
export function checkedKernels(backend: Backend, reason: string): Kernels {
  const names = backend.types.map(({ name }) => name);
  const writable = names.filter((_, index) => backend.types[index]!.writable);

  function indexOf(kind: "type" | "source type", known: readonly string[], name: string): number {
    if (known.includes(name)) return names.indexOf(name);
    throw argumentError(`unknown ${kind} ${JSON.stringify(name)}; there are ${known.join(", ")}`);
  }

  /** Index of the type, which must be among `known`, and what rows of it take. */
  function checkedType(
    kind: "type" | "source type",
    known: readonly string[],
    name: string,
    { rows, columns }: { rows: number; columns: number },
  ): { index: number; bytes: number } {
    const index = indexOf(kind, known, name);
    checkCount("rows", rows);
    checkCount("columns", columns);
    const { blockSize, typeSize } = backend.types[index]!;
    if (columns % blockSize !== 0) {
      throw argumentError(`${name} needs columns in multiples of ${blockSize}, but there are ${columns}`);
    }
    return { index, bytes: rows * (columns / blockSize) * typeSize };
  }

  return {
    info: { backend: backend.backend, isa: backend.isa, reason },
    types: writable,
    sourceTypes: names,
    requiresImportance: (type) => backend.types[indexOf("type", writable, type)]!.requiresImportance,

    quantize({ type, sourceType, source, target, rows, columns, importance }) {
      const to = checkedType("type", writable, type, { rows, columns });
      const from = checkedType("source type", names, sourceType, { rows, columns });
      const shape = `${rows} x ${columns}`;
      checkArray("source", source, Uint8Array, from.bytes, `${shape} weights of type ${sourceType}`);
      checkArray("target", target, Uint8Array, to.bytes, `${shape} weights of type ${type}`);
      if (importance !== undefined) checkImportance(importance, columns);
      else if (backend.types[to.index]!.requiresImportance) {
        throw argumentError(`${type} cannot be quantized without importance`);
      }
      return backend.quantize({
        type: to.index,
        sourceType: from.index,
        source,
        target,
        rows,
        columns,
        importance,
      });
    },

    dequantize({ type, source, target, rows, columns }) {
      const from = checkedType("type", names, type, { rows, columns });
      const shape = `${rows} x ${columns} weights`;
      checkArray("source", source, Uint8Array, from.bytes, `${shape} of type ${type}`);
      checkArray("target", target, Float32Array, rows * columns, shape);
      backend.dequantize({ type: from.index, source, target, rows, columns });
    },

    measureError({ type, sourceType, source, quantized, rows, columns, importance }) {
      const after = checkedType("type", names, type, { rows, columns });
      const before = checkedType("source type", names, sourceType, { rows, columns });
      const shape = `${rows} x ${columns} weights`;
      checkArray("source", source, Uint8Array, before.bytes, `${shape} of type ${sourceType}`);
      checkArray("quantized", quantized, Uint8Array, after.bytes, `${shape} of type ${type}`);
      if (importance !== undefined) checkImportance(importance, columns);
      return backend.measureError({
        type: after.index,
        sourceType: before.index,
        source,
        quantized,
        rows,
        columns,
        importance,
      });
    },

    math: checkedMath(backend),
  };
}

function checkArray(
  what: string,
  array: Uint8Array | Float32Array,
  kind: typeof Uint8Array | typeof Float32Array,
  length: number,
  content: string,
): void {
  if (!(array instanceof kind)) throw argumentError(`${what} must be a ${kind.name}`);
  if (array.length !== length) {
    const unit = kind === Uint8Array ? "bytes" : "elements";
    throw argumentError(`${what} has ${array.length} ${unit}, but ${content} take ${length}`);
  }
}

function checkImportance(importance: Float32Array, columns: number): void {
  checkArray("importance", importance, Float32Array, columns, `${columns} columns`);
  // Also catches NaN.
  const bad = importance.findIndex((value) => !(value >= 0 && value < Infinity));
  if (bad >= 0) {
    throw argumentError(
      `importance of column ${bad} is ${importance[bad]}, but must be finite and not negative`,
    );
  }
}
