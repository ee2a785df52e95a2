import type { MemberSpec, TileSpec, UniformGridOptions } from "@quern/quantize";
import type { LayerParameters } from "./format.ts";

/** Tiles in the words of grids; of the kinds that formats have. */
export function gridTile({ rows, columns }: LayerParameters["tile"]): TileSpec {
  if (columns === "all") return rows === "all" ? "tensor" : "channel";
  return rows === 1 || rows === "all" ? { columns } : { rows, columns };
}

/** Integers times a scale. @param options What the format asks of codes that are not symmetric. */
export function uniformGrid(
  { bits, symmetric, tile, scaleType }: LayerParameters,
  options: Pick<UniformGridOptions, "zero" | "leastZero"> = {},
): MemberSpec {
  return {
    name: "uniform",
    options: { bits, symmetric, tile: gridTile(tile), scaleType, ...(symmetric ? {} : options) },
  };
}
