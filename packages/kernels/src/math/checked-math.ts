import type { Backend } from "../backend.ts";
import { attention } from "./attention.ts";
import { searchTiles, tileRanges } from "./fit-tiles.ts";
import { gemm } from "./gemm.ts";
import { factorize, solve, syrk } from "./hessians.ts";
import type { MathKernels } from "./math-kernels.ts";
import { addScaledRows, gatherColumns, rowProducts, updateDifferences } from "./parts.ts";
import { rope } from "./rope.ts";
import { compensateColumns, decodeTiles, descendColumns, encodeTiles } from "./rounding.ts";
import { activate, addBias, addScaled, layerNorm, logSumExp, rmsNorm, softmax } from "./rows.ts";
import { searchScales } from "./search-scales.ts";
import { columnStatistics, magnitudeHistogram } from "./statistics.ts";
import { tileResiduals } from "./tile-residuals.ts";

/** Operations that check every argument before compiled code, which does not, sees it. */
export function checkedMath({ math, types }: Pick<Backend, "math" | "types">): MathKernels {
  return {
    gemm: (params) => gemm(math, types, params),
    syrk: (params) => syrk(math, params),
    mirror: (params) => void factorize(math, "mirror", params),
    cholesky: (params) => factorize(math, "cholesky", params),
    choleskyOfInverse: (params) => factorize(math, "choleskyOfInverse", params),
    invert: (params) => factorize(math, "invert", params),
    solve: (params) => solve(math, params),
    rmsNorm: (params) => rmsNorm(math, params),
    layerNorm: (params) => layerNorm(math, params),
    softmax: (params) => softmax(math, params),
    logSumExp: (params) => logSumExp(math, params),
    activate: (params) => activate(math, params),
    addScaled: (params) => addScaled(math, params),
    addBias: (params) => addBias(math, params),
    rowProducts: (params) => rowProducts(math, params),
    addScaledRows: (params) => addScaledRows(math, params),
    updateDifferences: (params) => updateDifferences(math, params),
    gatherColumns: (params) => gatherColumns(math, params),
    rope: (params) => rope(math, params),
    columnStatistics: (params) => columnStatistics(math, params),
    magnitudeHistogram: (params) => magnitudeHistogram(math, params),
    encodeTiles: (params) => encodeTiles(math, params),
    decodeTiles: (params) => decodeTiles(math, params),
    tileRanges: (params) => tileRanges(math, params),
    searchTiles: (params) => searchTiles(math, params),
    tileResiduals: (params) => tileResiduals(math, params),
    compensateColumns: (params) => compensateColumns(math, params),
    descendColumns: (params) => descendColumns(math, params),
    searchScales: (params) => searchScales(math, params),
    attention: (params) => attention(math, params),
  };
}
