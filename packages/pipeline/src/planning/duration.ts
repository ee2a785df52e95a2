import { availableParallelism } from "node:os";
import { rowSize } from "@quern/gguf";
import type { Kernels } from "@quern/kernels";

/** Elements of one tensor that are converted to one type. */
export interface ConversionLoad {
  readonly type: string;
  readonly usesImportance: boolean;
  readonly elements: number;
}

/** Elements of one tensor of which outputs are measured with a Hessian. */
export interface HessianLoad {
  readonly elements: number;
  readonly columns: number;
  /** The weights, and what became of them in each output. */
  readonly matrices: number;
}

/** Bytes a second that an ordinary SSD reads and writes. */
const DISK_RATE = 1e9;

/** A multiple of every block size; enough elements for a figure, few enough to cost milliseconds. */
const SAMPLE = { rows: 8, columns: 1024 };

/** Wasm is compiled while the first samples run, which takes up to thirty times as long as what runs then. */
const SAMPLES = 3;

/**
 * Estimates how long a conversion takes: the time that the kernels of this machine need for a sample of each type, times the
 * elements, and for products with Hessians; shared by the threads; or the time of the disk, where that is longer.
 *
 * @param params.bytes Bytes that are read and written.
 * @returns seconds
 */
export function estimateSeconds(params: {
  kernels: Kernels;
  loads: readonly ConversionLoad[];
  hessians: readonly HessianLoad[];
  threads: number;
  bytes: number;
}): number {
  const { kernels, loads, hessians, threads, bytes } = params;
  const costs = new Map<string, number>();
  let compute = 0;
  for (const { type, usesImportance, elements } of loads) {
    const key = `${type} ${usesImportance}`;
    const cost = costs.get(key) ?? secondsPerElement(kernels, type, usesImportance);
    costs.set(key, cost);
    compute += elements * cost;
  }
  const products = hessians.reduce((sum, load) => sum + load.elements * load.columns * load.matrices, 0);
  if (products > 0) compute += products * secondsPerOperation(kernels);
  const cores = Math.min(Math.max(threads, 1), availableParallelism());
  return Math.max(compute / cores, bytes / DISK_RATE);
}

function secondsPerElement(kernels: Kernels, type: string, usesImportance: boolean): number {
  const { rows, columns } = SAMPLE;
  const weights = sampleWeights(rows * columns);
  const target = new Uint8Array(rows * rowSize(type, columns));
  const quantize = (count: number): void => {
    kernels.quantize({
      type,
      sourceType: "F32",
      source: new Uint8Array(weights.buffer, 0, count * columns * 4),
      target: target.subarray(0, count * rowSize(type, columns)),
      rows: count,
      columns,
      ...(usesImportance ? { importance: new Float32Array(columns).fill(1) } : {}),
    });
  };
  // Some types make tables when they are first used.
  quantize(1);
  return fastest(() => quantize(rows)) / (rows * columns);
}

/** @returns seconds */
function fastest(work: () => void): number {
  const times = Array.from({ length: SAMPLES }, () => {
    const started = performance.now();
    work();
    return performance.now() - started;
  });
  return Math.min(...times) / 1000;
}

/** Of products with panels of a Hessian. */
export function secondsPerOperation({ math }: Kernels): number {
  const [m, n, k] = [256, 64, 1024];
  const [a, b, c] = [sampleWeights(m * k), sampleWeights(n * k), new Float32Array(m * n)];
  const multiply = (): void => math.gemm({ m, n, k, a, b, transposeB: true, c });
  multiply();
  return fastest(multiply) / (2 * m * n * k);
}

/** The same bell-shaped values every time: kernels search longer than for constants. */
export function sampleWeights(count: number): Float32Array {
  let state = 1;
  const uniform = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
  return Float32Array.from({ length: count }, () => 0.02 * (uniform() + uniform() + uniform()));
}
