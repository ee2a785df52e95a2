import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import type { Backend, KernelType } from "../backend.ts";
import type { QuantizeFault } from "../kernels.ts";
import { MOST_ARRAYS, MOST_NUMBERS, spanOf } from "../math/call.ts";
import { ROW_FIGURES, rowErrors } from "../row-errors.ts";
import type { BackendLoader } from "../select-kernels.ts";

/** What csrc/addon.c exports. */
interface Addon {
  describe(): {
    readonly isas: readonly string[];
    readonly operations: readonly string[];
    readonly types: readonly KernelType[];
  };
  quantize(
    isa: number,
    type: number,
    sourceType: number,
    source: Uint8Array,
    target: Uint8Array,
    rows: number,
    columns: number,
    importance: Float32Array | undefined,
  ): QuantizeFault | undefined;
  dequantize(
    isa: number,
    type: number,
    source: Uint8Array,
    target: Float32Array,
    rows: number,
    columns: number,
  ): void;
  measure(
    isa: number,
    type: number,
    sourceType: number,
    source: Uint8Array,
    quantized: Uint8Array,
    rows: number,
    columns: number,
    importance: Float32Array | undefined,
    target: Float64Array,
  ): void;
  math(
    isa: number,
    operation: number,
    numbers: Float64Array,
    arrays: readonly (ArrayBufferView | undefined)[],
    bytes: Float64Array,
  ): number;
}

/** The same file seen from src/node and from dist/node. */
const ADDON = fileURLToPath(new URL("../../dist/quern-kernels.node", import.meta.url));

/** The Node-API addon, which runs the fastest instruction set of the processor. */
export const nativeLoader: BackendLoader = {
  backend: "native",
  // eslint-disable-next-line typescript/require-await
  async load() {
    if (!existsSync(ADDON)) {
      throw new Error("quern-kernels.node is missing; the build makes it where it finds a C compiler");
    }
    const addon = createRequire(import.meta.url)(ADDON) as Addon;
    const { isas, operations, types } = addon.describe();
    return {
      isas,
      open(isa): Backend {
        const index = isas.indexOf(isa);
        return {
          backend: "native",
          isa,
          types,
          quantize: ({ type, sourceType, source, target, rows, columns, importance }) =>
            addon.quantize(index, type, sourceType, source, target, rows, columns, importance),
          dequantize: ({ type, source, target, rows, columns }) =>
            addon.dequantize(index, type, source, target, rows, columns),
          measureError({ type, sourceType, source, quantized, rows, columns, importance }) {
            const figures = new Float64Array(rows * ROW_FIGURES);
            addon.measure(index, type, sourceType, source, quantized, rows, columns, importance, figures);
            return rowErrors(figures);
          },
          math: {
            pieceBytes: Infinity,
            run({ operation, numbers, arrays }) {
              const bytes = new Float64Array(MOST_ARRAYS);
              for (const [i, array] of arrays.entries()) bytes[i] = array ? spanOf(array) : 0;
              const padded = new Float64Array(MOST_NUMBERS);
              padded.set(numbers);
              const data = arrays.map((array) => array?.data);
              return addon.math(index, operations.indexOf(operation), padded, data, bytes);
            },
          },
        };
      },
    };
  },
};
