export { kernelInfo, loadKernels } from "./node/load-kernels.ts";
export type {
  BackendReport,
  DequantizeParams,
  KernelBackend,
  KernelInfo,
  KernelSourceType,
  Kernels,
  LoadKernelsParams,
  MeasureErrorParams,
  QuantizeFault,
  QuantizeParams,
  RowErrors,
  WasmSource,
} from "./kernels.ts";
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
export type { SearchScalesParams } from "./math/search-scales.ts";
export { MAGNITUDE_BINS, lowerEdgeOfBin } from "./math/statistics.ts";
export type { ColumnStatisticsParams, MagnitudeHistogramParams } from "./math/statistics.ts";
export type { CodeRule, TileCodes } from "./math/tile-codes.ts";
