import { floatCode } from "../codes/float-code.ts";
import type { Matrix } from "../matrix.ts";
import { EXPONENT_SCALES, exponentCode, floatScales, globalScaleCode, globalScales } from "../scale-store.ts";
import type { ScaleType } from "../scale-type.ts";
import type { Grid, TiledGrid } from "./grid.ts";
import { tiledGrid, type TileSpec } from "./tiled-grid.ts";

export interface E4m3Options {
  /** @default "channel" */
  readonly tile?: TileSpec;
  /** @default "F32" */
  readonly scaleType?: ScaleType;
}

/** 8-bit floats, E4M3 of the OCP specification: scale = max|w| / 448. Codes are the bits. */
export function e4m3({ tile = "channel", scaleType = "F32" }: E4m3Options = {}): Grid<TiledGrid> {
  const store = floatScales(scaleType);
  return tiledGrid({ name: "e4m3", code: floatCode("F8_E4M3"), tile, store: () => store });
}

/** E2M1 in blocks of 32 with a power of two as scale (OCP microscaling formats 1.0). */
export function mxfp4(): Grid<TiledGrid> {
  return tiledGrid({
    name: "mxfp4",
    code: floatCode("F4"),
    tile: { columns: 32 },
    store: () => EXPONENT_SCALES,
    parts: (scales) => ({ kind: "exponent", codes: Uint8Array.from(scales, exponentCode) }),
  });
}

export interface Nvfp4Options {
  /**
   * The largest magnitude that the number of the whole tensor is made for: of all layers that are loaded as one, where there are several.
   * @default that of the matrix
   */
  readonly largest?: number;
}

/** E2M1 in blocks of 16 with E4M3 scales, which are divided by 448 * 6 / max|w| of the whole tensor. */
export function nvfp4({ largest }: Nvfp4Options = {}): Grid<TiledGrid> {
  const globalOf = ({ values }: Matrix): number => {
    const most = largest ?? values.reduce((found, value) => Math.max(found, Math.abs(value)), 0);
    return most === 0 ? 1 : Math.fround((448 * 6) / most);
  };
  const grid = tiledGrid({
    name: "nvfp4",
    code: floatCode("F4"),
    tile: { columns: 16 },
    store: (matrix) => globalScales(globalOf(matrix)),
    parts(scales, matrix) {
      const global = globalOf(matrix);
      const codes = Uint8Array.from(scales, (scale) => globalScaleCode(scale, global));
      return { kind: "global", codes, global };
    },
  });
  return { ...grid, usesLargest: true, wholeMatrix: largest === undefined };
}
