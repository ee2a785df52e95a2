import type { QuantizedMatrix } from "@quern/quantize";
import { decodeElements, encodeElements } from "@quern/tensor";
import { type Layer, tileCounts, tileOf, type Window } from "./format.ts";
import { invalidParts } from "./invalid.ts";

/** Bytes of the group of each column, I32. */
export function storedGroupIndex({ groupIndex }: QuantizedMatrix, layer: Layer): Uint8Array {
  return encodeElements({ type: "I32", values: groupIndex ?? inOrder(layer) });
}

/**
 * Group of each column of a window; undefined where it follows from the size of the groups.
 *
 * @param bytes Groups of all columns as they are stored, if they are.
 * @throws QuernError `FORMAT_PARTS_INVALID` for a group that there is not
 */
export function groupIndexOf(
  bytes: Uint8Array | undefined,
  layer: Layer,
  { columns: { start, count } }: Window,
): Int32Array | undefined {
  const expected = inOrder(layer);
  const index = bytes === undefined ? expected : readGroupIndex(bytes, layer);
  const whole = count === layer.columns;
  if (whole && index.every((group, column) => group === expected[column])) return undefined;
  return index.slice(start, start + count);
}

function inOrder(layer: Layer): Int32Array {
  const { columns: size } = tileOf(layer);
  return Int32Array.from({ length: layer.columns }, (_, column) => Math.floor(column / size));
}

function readGroupIndex(bytes: Uint8Array, layer: Layer): Int32Array {
  const groups = tileCounts(layer).columns;
  const index = Int32Array.from(
    decodeElements({ type: "I32", bytes, into: new Float64Array(layer.columns) }),
  );
  const wrong = index.findIndex((group) => group < 0 || group >= groups);
  if (wrong < 0) return index;
  throw invalidParts(`input ${wrong} is of group ${index[wrong]}: expected a group from 0 to ${groups - 1}`);
}
