import type { AttentionParams } from "./attention.ts";
import type { CholeskyParams, FactorParams, GramParams, SolveParams } from "./hessians.ts";
import type { SearchTilesParams, TileRangesParams } from "./fit-tiles.ts";
import type { GemmParams } from "./gemm.ts";
import type {
  ActivateParams,
  AddBiasParams,
  AddScaledParams,
  LayerNormParams,
  RmsNormParams,
  RowsParams,
  RowsToRowsParams,
} from "./rows.ts";
import type {
  AddScaledRowsParams,
  GatherColumnsParams,
  RowProductsParams,
  UpdateDifferencesParams,
} from "./parts.ts";
import type { RopeParams } from "./rope.ts";
import type {
  CompensateColumnsParams,
  DecodeTilesParams,
  DescendColumnsParams,
  EncodeTilesParams,
} from "./rounding.ts";
import type { SearchScalesParams } from "./search-scales.ts";
import type { ColumnStatisticsParams, MagnitudeHistogramParams } from "./statistics.ts";
import type { TileResidualsParams } from "./tile-residuals.ts";

/**
 * Pure, single-threaded functions over matrices in typed arrays (of shared memory, too); rows lie one after the other. Where there is a
 * stride, element (row, column) is `data[row * stride + column]`. Arrays may be longer than what they hold. Operations that take an `x` and
 * make a `y` of the same shape accept the same array for both; other overlaps of what is read and what is written are not allowed.
 *
 * Every element of a result is computed in an order of its own: it is the same to the bit however rows, columns of products, tokens or
 * heads are divided among calls. Instruction sets with fused multiply-add agree with each other, and so do those without.
 *
 * All of them throw QuernError `KERNEL_ARGUMENT` for sizes that do not fit, and `KERNEL_MEMORY` where Wasm has not enough memory.
 */
export interface MathKernels {
  /** `c = alpha * a * b`, plus `c` if `accumulate`. */
  readonly gemm: (params: GemmParams) => void;
  /**
   * `h += x^T x`, some rows of the lower triangle: `h[(i - firstRow) * n + j]` for `j <= i`. Products of 256 tokens are summed in F32, their sums are added in F64: an
   * element is off by at most 257 * 2^-24 of the sum of the magnitudes of its terms, whatever the number of tokens. Calls with
   * multiples of 256 tokens give what one call for all of them gives.
   */
  readonly syrk: (params: GramParams) => void;
  /** Copies the lower triangle to the upper one. */
  readonly mirror: (params: FactorParams) => void;
  /**
   * In place: the lower triangular L with `matrix = L L^T`, and zeros above. Only the lower triangle is read.
   *
   * @returns the first index at which the matrix turns out not to be positive definite; then it is left half done.
   */
  readonly cholesky: (params: CholeskyParams) => number | undefined;
  /**
   * In place: the upper triangular U with `matrix^-1 = U^T U`, and zeros below, which is what GPTQ (Frantar et al. 2023, "Accurate
   * Post-Training Quantization for Generative Pre-trained Transformers", algorithm 1) works with. Only the lower triangle is read.
   *
   * @returns like `cholesky`; the index counts from the end, from where this factorization begins: rows after it are fine.
   */
  readonly choleskyOfInverse: (params: FactorParams) => number | undefined;
  /** In place: the inverse of a positive definite matrix, both triangles. Only the lower one is read. @returns like `cholesky` */
  readonly invert: (params: FactorParams) => number | undefined;
  /** `b := (L L^T)^-1 b`, with L from `cholesky`. */
  readonly solve: (params: SolveParams) => void;
  /** `y = x / sqrt(mean(x^2) + epsilon) * weight` of each row (Zhang and Sennrich 2019). */
  readonly rmsNorm: (params: RmsNormParams) => void;
  /** `y = (x - mean) / sqrt(variance + epsilon) * weight + bias` of each row (Ba et al. 2016). */
  readonly layerNorm: (params: LayerNormParams) => void;
  /** `y = exp(x) / sum(exp(x))` of each row. */
  readonly softmax: (params: RowsToRowsParams) => void;
  /** `ln(sum(exp(x)))` of each row. */
  readonly logSumExp: (params: RowsParams) => Float64Array;
  /** `y = f(x)`, or `y = f(x) * up`. */
  readonly activate: (params: ActivateParams) => void;
  /** `y += alpha * x` */
  readonly addScaled: (params: AddScaledParams) => void;
  /** Adds `bias` to every row of `y`. */
  readonly addBias: (params: AddBiasParams) => void;
  /** `sum(a * b)` of each row, in F64: all instruction sets give the same bits. */
  readonly rowProducts: (params: RowProductsParams) => Float64Array;
  /** `y += alpha * x` of each row, with an alpha of its own; all instruction sets give the same bits. */
  readonly addScaledRows: (params: AddScaledRowsParams) => void;
  /** `c = a - b`, and what that changes in `c`. */
  readonly updateDifferences: (params: UpdateDifferencesParams) => void;
  /** The columns of a matrix in another order. */
  readonly gatherColumns: (params: GatherColumnsParams) => void;
  /**
   * Adds what the rows of `x` hold to the statistics of columns, each sum in F64 in the order of rows: all instruction sets, fused
   * or not, give the same bits, and so do calls for some of the rows after each other. NaN makes the sums of its column NaN, and does not
   * count in `largest`.
   */
  readonly columnStatistics: (params: ColumnStatisticsParams) => void;
  /**
   * Adds to the count of each bin how many elements have a magnitude in it: from `lowerEdgeOfBin(bin)` up to, and without,
   * `lowerEdgeOfBin(bin + 1)`. There must be no NaN, which would count in the last bin.
   */
  readonly magnitudeHistogram: (params: MagnitudeHistogramParams) => void;
  /** The nearest codes of weights, and what they mean. Like the other operations on tiles, the same on all instruction sets. */
  readonly encodeTiles: (params: EncodeTilesParams) => void;
  /** What codes mean. */
  readonly decodeTiles: (params: DecodeTilesParams) => void;
  /** Smallest and largest weight of each tile. */
  readonly tileRanges: (params: TileRangesParams) => void;
  /**
   * With which of several scales and shifts the sum over a tile of `importance * |error|^exponent`, or of `e H e^T`, is least. Errors, their
   * powers and products and sums over 256 columns of a row are F32, and added in F64.
   */
  readonly searchTiles: (params: SearchTilesParams) => void;
  /**
   * How far the weights of tiles are from their nearest codes, and where the value of code 0 would rather be (a step of HQQ). Elements are
   * F32, and so are sums of every 16th column of a tile; those are added in F64.
   */
  readonly tileResiduals: (params: TileResidualsParams) => void;
  /** Rounds columns one after another; what each gets wrong is added, by factors, to what is rounded after it (GPTQ, LDLQ). */
  readonly compensateColumns: (params: CompensateColumnsParams) => void;
  /**
   * One column after another: with all other codes as they are, the best value of a weight is its value plus its gradient over H_jj; its
   * code becomes the nearest to that, where that is nearer than the present one, and gradients follow.
   */
  readonly descendColumns: (params: DescendColumnsParams) => void;
  /**
   * For each row of a tile: from the present scale and shift, and codes, step by step to neighbours of them with which LDLQ within the tile
   * makes `(e + change) H (e + change)^T` smaller, all other columns as they are. Arithmetic is F32, operation by operation.
   */
  readonly searchScales: (params: SearchScalesParams) => void;
  /** Rotary position embedding (Su et al. 2021) in place. */
  readonly rope: (params: RopeParams) => void;
  /** Softmax attention within one sequence. */
  readonly attention: (params: AttentionParams) => void;
}
