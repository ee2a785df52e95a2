// The package in a browser: Wasm kernels only.
import type { BackendReport, Kernels, LoadKernelsParams } from "./kernels.ts";
import { reportBackends, selectKernels } from "./select-kernels.ts";
import type { BackendLoader } from "./select-kernels.ts";
import { wasmLoader } from "./wasm/wasm-loader.ts";

export type { AttentionParams } from "./math/attention.ts";
export { codeTable } from "./math/code-table.ts";
export type { CodeTable, CodeTableParams } from "./math/code-table.ts";
export type { SearchTilesParams, TileRangesParams } from "./math/fit-tiles.ts";
export type { Shrinkage, TileResidualsParams } from "./math/tile-residuals.ts";
export type { GemmParams } from "./math/gemm.ts";
export type { CholeskyParams, FactorParams, GramParams, SolveParams } from "./math/hessians.ts";
export type { MathKernels } from "./math/math-kernels.ts";
export type {
  AddScaledRowsParams,
  GatherColumnsParams,
  RowProductsParams,
  UpdateDifferencesParams,
} from "./math/parts.ts";
export type { RopeParams } from "./math/rope.ts";
export type {
  CompensateColumnsParams,
  DecodeTilesParams,
  DescendColumnsParams,
  EncodeTilesParams,
} from "./math/rounding.ts";
export type {
  ActivateParams,
  Activation,
  AddBiasParams,
  AddScaledParams,
  LayerNormParams,
  RmsNormParams,
  RowsParams,
  RowsToRowsParams,
} from "./math/rows.ts";
export { MAGNITUDE_BINS, lowerEdgeOfBin } from "./math/statistics.ts";
export type { ColumnStatisticsParams, MagnitudeHistogramParams } from "./math/statistics.ts";
export type { CodeRule, TileCodes } from "./math/tile-codes.ts";
export type {
  BackendReport,
  DequantizeParams,
  KernelBackend,
  KernelInfo,
  KernelSourceType,
  Kernels,
  LoadKernelsParams,
  MeasureErrorParams,
  QuantizeParams,
  RowErrors,
  WasmSource,
} from "./kernels.ts";

function loaders(params: LoadKernelsParams): readonly BackendLoader[] {
  // Bundlers copy the file that this expression names.
  return [wasmLoader(() => params.wasm ?? new URL("../dist/quern-kernels.wasm", import.meta.url))];
}

/**
 * Loads the kernels for this thread; each call makes an instance with memory of its own.
 *
 * @throws QuernError `KERNEL_UNAVAILABLE` with all causes.
 */
export async function loadKernels(params: LoadKernelsParams = {}): Promise<Kernels> {
  return selectKernels({ ...params, loaders: loaders(params), askedBy: "loadKernels" });
}

/** Which backends and instruction sets work here. */
export async function kernelInfo(
  params: Pick<LoadKernelsParams, "wasm"> = {},
): Promise<readonly BackendReport[]> {
  return reportBackends(loaders(params));
}
