import { decodeElements, ELEMENT_TYPES } from "@quern/tensor";
import { columnsOf } from "./columns-of.ts";
import { type Layer, type Range, tileCounts } from "./format.ts";
import { turn } from "./turn.ts";

/** Scales of some outputs, by output, of scales that are stored by group with all outputs side by side. */
export function scalesByGroup(bytes: Uint8Array, layer: Layer, { start, count }: Range): Float32Array {
  const type = layer.parameters.scaleType;
  const groups = tileCounts(layer).columns;
  const size = ELEMENT_TYPES[type].bits / 8;
  const own = columnsOf(bytes, {
    rows: groups,
    rowSize: layer.rows * size,
    from: start * size,
    size: count * size,
  });
  return turn(decodeElements({ type, bytes: own }), new Float32Array(count * groups), groups, count);
}
