import { QuernError } from "@quern/tensor";
import type { Backend } from "../backend.ts";
import type { QuantizeFault } from "../kernels.ts";
import { MOST_ARRAYS, MOST_NUMBERS, spanOf } from "../math/call.ts";
import type { MathArray } from "../math/call.ts";
import { ROW_FIGURES, rowErrors } from "../row-errors.ts";

/** What csrc/wasm.c exports. Pointers are byte offsets in `memory`. */
interface WasmExports {
  readonly memory: WebAssembly.Memory;
  readonly __heap_base: WebAssembly.Global;
  type_count(): number;
  type_name(type: number): number;
  block_size(type: number): number;
  type_size(type: number): number;
  writable(type: number): number;
  requires_importance(type: number): number;
  scratch_floats(columns: number): number;
  quantize(
    type: number,
    sourceType: number,
    source: number,
    target: number,
    rows: number,
    columns: number,
    importance: number,
    scratch: number,
    index: number,
  ): number;
  dequantize(type: number, source: number, target: number, blocks: number): void;
  measure(
    type: number,
    sourceType: number,
    source: number,
    quantized: number,
    rows: number,
    columns: number,
    importance: number,
    target: number,
  ): void;
  operation_count(): number;
  operation_name(operation: number): number;
  operation_scratch(operation: number, numbers: number): number;
  operation_run(operation: number, numbers: number, arrays: number, scratch: number): number;
}

/** `quern_verdict` of csrc/kernel.h. */
const FAULTS = [undefined, "not-finite", "overflow"] as const;

/** Weights that are copied into the module's memory at a time; a longer row goes in whole. */
const PIECE = 65_536;
/** Bytes of weights that are copied for one matrix product. */
const MATRIX_PIECE = 1 << 24;
const PAGE = 65_536;
const ALIGNMENT = 64;
/** Numbers and pointers of an operation. */
const HEAD_BYTES = 8 * MOST_NUMBERS + 4 * MOST_ARRAYS;

/** Instantiates the module; each instance has its own memory. */
export async function wasmBackend(module: WebAssembly.Module): Promise<Backend> {
  const { exports } = await WebAssembly.instantiate(module, {});
  const wasm = exports as unknown as WasmExports;

  const types = Array.from({ length: wasm.type_count() }, (_, type) => ({
    name: readText(wasm.memory, wasm.type_name(type)),
    blockSize: wasm.block_size(type),
    typeSize: wasm.type_size(type),
    writable: wasm.writable(type) !== 0,
    requiresImportance: wasm.requires_importance(type) !== 0,
  }));
  const operations = Array.from({ length: wasm.operation_count() }, (_, operation) =>
    readText(wasm.memory, wasm.operation_name(operation)),
  );
  const rowSize = (type: number, columns: number): number =>
    (columns / types[type]!.blockSize) * types[type]!.typeSize;

  /** Lays out areas of these sizes above the module's own data and returns their offsets. */
  function layOut(sizes: readonly number[]): number[] {
    let end = wasm.__heap_base.value as number;
    const offsets = sizes.map((size) => {
      const offset = Math.ceil(end / ALIGNMENT) * ALIGNMENT;
      end = offset + size;
      return offset;
    });
    const missing = Math.ceil((end - wasm.memory.buffer.byteLength) / PAGE);
    if (missing > 0) {
      try {
        wasm.memory.grow(missing);
      } catch (cause) {
        throw new QuernError("KERNEL_MEMORY", `the Wasm kernels could not get ${end} bytes of memory`, {
          cause,
        });
      }
    }
    return offsets;
  }

  return {
    backend: "wasm",
    isa: "simd128",
    types,

    quantize({ type, sourceType, source, target, rows, columns, importance }) {
      const sourceRow = rowSize(sourceType, columns);
      const targetRow = rowSize(type, columns);
      const step = Math.max(1, Math.min(rows, Math.floor(PIECE / columns)));
      const [from, to, weights, scratch, index] = layOut([
        step * sourceRow,
        step * targetRow,
        importance?.byteLength ?? 0,
        wasm.scratch_floats(columns) * 4,
        4,
      ]) as [number, number, number, number, number];
      const memory = new Uint8Array(wasm.memory.buffer);
      if (importance) new Float32Array(memory.buffer, weights, columns).set(importance);

      let result: QuantizeFault | undefined;
      for (let row = 0; row < rows; row += step) {
        const count = Math.min(step, rows - row);
        memory.set(source.subarray(row * sourceRow, (row + count) * sourceRow), from);
        const verdict = wasm.quantize(
          type,
          sourceType,
          from,
          to,
          count,
          columns,
          importance ? weights : 0,
          scratch,
          index,
        );
        const fault = FAULTS[verdict];
        if (fault !== undefined) {
          const found = { fault, index: row * columns + new DataView(memory.buffer).getInt32(index, true) };
          if (fault === "not-finite") return found;
          result ??= found;
        }
        target.set(memory.subarray(to, to + count * targetRow), row * targetRow);
      }
      return result;
    },

    dequantize({ type, source, target, rows, columns }) {
      const { blockSize, typeSize } = types[type]!;
      const blocks = rows * (columns / blockSize);
      const step = Math.min(blocks, PIECE / blockSize);
      const [from, to] = layOut([step * typeSize, step * blockSize * 4]) as [number, number];
      const memory = new Uint8Array(wasm.memory.buffer);
      const values = new Float32Array(memory.buffer, to, step * blockSize);

      for (let block = 0; block < blocks; block += step) {
        const count = Math.min(step, blocks - block);
        memory.set(source.subarray(block * typeSize, (block + count) * typeSize), from);
        wasm.dequantize(type, from, to, count);
        target.set(values.subarray(0, count * blockSize), block * blockSize);
      }
    },

    measureError({ type, sourceType, source, quantized, rows, columns, importance }) {
      const sourceRow = rowSize(sourceType, columns);
      const quantizedRow = rowSize(type, columns);
      const step = Math.max(1, Math.min(rows, Math.floor(PIECE / columns)));
      const [from, to, weights, target] = layOut([
        step * sourceRow,
        step * quantizedRow,
        importance?.byteLength ?? 0,
        step * ROW_FIGURES * 8,
      ]) as [number, number, number, number];
      const memory = new Uint8Array(wasm.memory.buffer);
      if (importance) new Float32Array(memory.buffer, weights, columns).set(importance);
      const figures = new Float64Array(rows * ROW_FIGURES);

      for (let row = 0; row < rows; row += step) {
        const count = Math.min(step, rows - row);
        memory.set(source.subarray(row * sourceRow, (row + count) * sourceRow), from);
        memory.set(quantized.subarray(row * quantizedRow, (row + count) * quantizedRow), to);
        wasm.measure(type, sourceType, from, to, count, columns, importance ? weights : 0, target);
        figures.set(new Float64Array(memory.buffer, target, count * ROW_FIGURES), row * ROW_FIGURES);
      }
      return rowErrors(figures);
    },

    math: {
      pieceBytes: MATRIX_PIECE,
      run({ operation, numbers, arrays }) {
        const index = operations.indexOf(operation);
        const [head] = layOut([HEAD_BYTES]) as [number];
        new Float64Array(wasm.memory.buffer, head, MOST_NUMBERS).set(numbers);
        const scratchBytes = wasm.operation_scratch(index, head);
        const sizes = arrays.map((array) => (array ? spanOf(array) : 0));
        const [, scratch, ...offsets] = layOut([HEAD_BYTES, scratchBytes, ...sizes]);
        const memory = new Uint8Array(wasm.memory.buffer);
        const pointers = new Uint32Array(memory.buffer, head + 8 * MOST_NUMBERS, MOST_ARRAYS).fill(0);
        for (const [i, array] of arrays.entries()) {
          if (!array) continue;
          pointers[i] = offsets[i]!;
          if (array.access !== "write") copyRows(array, bytesOf(array), 0, memory, offsets[i]!);
        }
        const result = wasm.operation_run(index, head, pointers.byteOffset, scratch!);
        for (const [i, array] of arrays.entries()) {
          if (array && array.access !== "read") copyRows(array, memory, offsets[i]!, bytesOf(array), 0);
        }
        return result;
      },
    },
  };
}

function bytesOf({ data }: MathArray): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** What lies between the rows is left alone: another worker may be writing there. */
function copyRows(
  { rows, rowBytes, strideBytes }: MathArray,
  source: Uint8Array,
  sourceStart: number,
  target: Uint8Array,
  targetStart: number,
): void {
  const whole = rowBytes === strideBytes;
  const length = whole ? rows * rowBytes : rowBytes;
  for (let row = 0; row < (whole ? Math.min(rows, 1) : rows); row++) {
    const start = sourceStart + row * strideBytes;
    target.set(source.subarray(start, start + length), targetStart + row * strideBytes);
  }
}

/** A zero-terminated ASCII string. */
function readText(memory: WebAssembly.Memory, offset: number): string {
  const bytes = new Uint8Array(memory.buffer, offset);
  return String.fromCharCode(...bytes.subarray(0, bytes.indexOf(0)));
}
