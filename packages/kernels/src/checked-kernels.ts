import { QuernError } from "@quern/tensor";
import type { Backend } from "./backend.ts";
import type { Kernels } from "./kernels.ts";

/** Rows and columns are 32-bit numbers in Wasm. */
const MAX_COUNT = 2 ** 31 - 1;

/** Kernels that check every argument before compiled code, which does not, sees it. */
export function checkedKernels(backend: Backend, reason: string): Kernels {
  const typeIndex = indexByName("type", backend.types);
  const sourceTypeIndex = indexByName("source type", backend.sourceTypes);

  function checkedType(name: string, rows: number, columns: number): { type: number; bytes: number } {
    const type = typeIndex(name);
    checkCount("rows", rows);
    checkCount("columns", columns);
    const { blockSize, typeSize } = backend.types[type]!;
    if (columns % blockSize !== 0) {
      throw argumentError(`${name} needs columns in multiples of ${blockSize}, but there are ${columns}`);
    }
    return { type, bytes: rows * (columns / blockSize) * typeSize };
  }

  return {
    info: { backend: backend.backend, isa: backend.isa, reason },
    types: backend.types.map(({ name }) => name),
    requiresImportance: (name) => backend.types[typeIndex(name)]!.requiresImportance,

    quantize({ type: name, sourceType: sourceName, source, target, rows, columns, importance }) {
      const { type, bytes } = checkedType(name, rows, columns);
      const sourceType = sourceTypeIndex(sourceName);
      const shape = `${rows} x ${columns}`;
      const sourceBytes = rows * columns * backend.sourceTypes[sourceType]!.size;
      checkArray("source", source, Uint8Array, sourceBytes, `${shape} weights of type ${sourceName}`);
      checkArray("target", target, Uint8Array, bytes, `${shape} weights of type ${name}`);
      if (importance !== undefined) checkImportance(importance, columns);
      else if (backend.types[type]!.requiresImportance) {
        throw argumentError(`${name} cannot be quantized without importance`);
      }
      return backend.quantize({ type, sourceType, source, target, rows, columns, importance });
    },

    dequantize({ type: name, source, target, rows, columns }) {
      const { type, bytes } = checkedType(name, rows, columns);
      const shape = `${rows} x ${columns} weights`;
      checkArray("source", source, Uint8Array, bytes, `${shape} of type ${name}`);
      checkArray("target", target, Float32Array, rows * columns, shape);
      backend.dequantize({ type, source, target, rows, columns });
    },
  };
}

function argumentError(message: string): QuernError {
  return new QuernError("KERNEL_ARGUMENT", message);
}

function indexByName(kind: string, list: readonly { readonly name: string }[]): (name: string) => number {
  const indices = new Map(list.map(({ name }, index) => [name, index]));
  return (name) => {
    const index = indices.get(name);
    if (index === undefined) {
      throw argumentError(
        `unknown ${kind} ${JSON.stringify(name)}; there are ${[...indices.keys()].join(", ")}`,
      );
    }
    return index;
  };
}

function checkCount(what: string, count: number): void {
  if (!Number.isInteger(count) || count < 0 || count > MAX_COUNT) {
    throw argumentError(`${what} must be an integer from 0 to ${MAX_COUNT}, not ${count}`);
  }
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
