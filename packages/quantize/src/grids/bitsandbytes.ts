import { FP4_VALUES, NF4_VALUES } from "../codes/bitsandbytes-tables.ts";
import type { Code } from "../codes/code.ts";
import { byMiddles, tableCode } from "../codes/table-code.ts";
import { uniformCode } from "../codes/uniform-code.ts";
import type { Matrix } from "../matrix.ts";
import { nestScales } from "../nested-scales.ts";
import type { ScaleParts } from "../quantized-matrix.ts";
import { floatScales, type ScaleStore } from "../scale-store.ts";
import { roundToEven, roundToScaleType } from "../scale-type.ts";
import type { Grid, TiledGrid } from "./grid.ts";
import { tiledGrid } from "./tiled-grid.ts";

export interface FourBitOptions {
  /** Weights that share a scale. @default 64 */
  readonly block?: number;
  /** Whether scales are quantized themselves, in 8 bits and blocks of 256. @default false */
  readonly doubleQuantization?: boolean;
}

const { fround } = Math;

/** What is divided by where the largest magnitude is smaller. */
const SMALLEST = fround(1e-38);

/** The largest magnitude itself; 0 stays 0. */
const MAGNITUDES: ScaleStore = {
  scaleFor: (magnitude) => fround(magnitude),
  round: (scale) => Math.max(fround(scale), SMALLEST),
};

/** NormalFloat codes as bitsandbytes stores them. Its blocks go on from row to row: see `flattened`. */
export function nf4(options: FourBitOptions = {}): Grid<TiledGrid> {
  return fourBit("nf4", NF4_VALUES, options);
}

/** bitsandbytes' own 4-bit floats. */
export function fp4(options: FourBitOptions = {}): Grid<TiledGrid> {
  return fourBit("fp4", FP4_VALUES, options);
}

function fourBit(name: string, values: Float32Array, options: FourBitOptions): Grid<TiledGrid> {
  const { block = 64, doubleQuantization = false } = options;
  const code = tableCode({ bits: 4, values, encode: byMiddles(values), reciprocal: true });
  const nested = (scales: Float32Array): ScaleParts => {
    const { codes, absmax, offset, scales: stored } = nestScales(scales);
    scales.set(stored);
    return { kind: "nested", codes, absmax, offset };
  };
  const grid = tiledGrid({
    name,
    code,
    tile: { columns: block },
    store: () => MAGNITUDES,
    ...(doubleQuantization && { nest: nested }),
  });
  return { ...grid, open: (matrix) => withDividedTail(grid.open(matrix), matrix, values) };
}

/**
 * bitsandbytes divides the last block of a tensor by its scale where it is incomplete, rather than multiply by the reciprocal, and stores
 * 1e-38 for one of zeros.
 */
function withDividedTail(fitted: TiledGrid, { rows, columns }: Matrix, values: Float32Array): TiledGrid {
  const tail = Math.floor(columns / fitted.unit.columns) * fitted.unit.columns;
  if (rows > 1 || tail === columns) return fitted;
  const nearest = byMiddles(values);
  const scale = new Float64Array(1);
  return {
    ...fitted,
    tileCodes: undefined,
    fit(params) {
      fitted.fit(params);
      fitted.readParameters(0, tail, scale);
      fitted.writeParameters(0, tail, scale);
    },
    encode(row, column, value) {
      if (column < tail) return fitted.encode(row, column, value);
      fitted.readParameters(row, column, scale);
      return nearest(fround(value / scale[0]!));
    },
  };
}

/**
 * The weights of LLM.int8() (Dettmers et al. 2022): symmetric codes from 1 to 255, and for each row its largest magnitude, of which the
 * scale is the 127th part. Weights are rounded to F16 first, as bitsandbytes does.
 */
export function int8Vectorwise(): Grid<TiledGrid> {
  const half = (value: number): number => roundToScaleType("F16", value);
  const code: Code = {
    ...uniformCode({ bits: 8, symmetric: true, range: "restricted" }),
    rule: undefined,
    scaleFor: (low, high, store) => store.scaleFor(half(Math.max(-low, high, 0)), 127),
    shiftFrom: () => 128,
    encode(value, scale) {
      // The magnitude that is stored, which is in F16 unless the scale was fitted once more.
      const magnitude = fround(scale * 127);
      const near = half(magnitude);
      const stored = fround(near / 127) === scale ? near : magnitude;
      return Math.min(Math.max(roundToEven(fround(half(value) * fround(127 / stored))), -127), 127) + 128;
    },
  };
  const store = floatScales("F32");
  return tiledGrid({ name: "int8-vectorwise", code, tile: "channel", store: () => store });
}
