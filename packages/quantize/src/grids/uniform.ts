import { uniformCode, type UniformCodeOptions } from "../codes/uniform-code.ts";
import { floatScales } from "../scale-store.ts";
import type { ScaleType } from "../scale-type.ts";
import type { Grid, TiledGrid } from "./grid.ts";
import { tiledGrid, type TileSpec } from "./tiled-grid.ts";

export interface UniformGridOptions extends Omit<UniformCodeOptions, "offsetType"> {
  /** @default "channel" */
  readonly tile?: TileSpec;
  /** Of scales and offsets. @default "F16" */
  readonly scaleType?: ScaleType;
}

/** Integers of 1 to 8 bits times a scale: what GPTQ, AWQ, compressed-tensors and MLX store. */
export function uniform(options: UniformGridOptions): Grid<TiledGrid> {
  const { tile = "channel", scaleType = "F16" } = options;
  const store = floatScales(scaleType);
  const code = uniformCode({ ...options, offsetType: scaleType });
  return tiledGrid({ name: "uniform", code, tile, store: () => store });
}
