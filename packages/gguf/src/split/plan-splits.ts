import { ALIGNMENT_KEY, alignmentOf, DEFAULT_ALIGNMENT } from "../alignment.ts";
import type { GgufLayout, GgufTensorSpec } from "../layout.ts";
import type { GgufMetadata } from "../value.ts";
import { ggufUint32 } from "../values.ts";
import { planGguf } from "../write/plan-gguf.ts";
import { divideTensors, type GgufDivision } from "./division.ts";
import { SPLIT_KEY_ORDERS, withoutSplitKeys, withSplitKeys } from "./split-keys.ts";

/**
 * Lays out a set of files: all metadata in the first, and in each the keys that say which part of the set it is.
 * `splitFileName` names the files.
 *
 * A division by a limit equals that of `llama-gguf-split`, byte for byte; one by `fileOf` equals what `llama-quantize
 * --keep-split` writes, which leaves a set of one file without split keys. Where both tools write files that cannot be read,
 * this does not follow: with another alignment than 32 every file has it, and a first tensor above the limit has a file.
 *
 * @throws QuernError as `planGguf`; `GGUF_SPLIT_INVALID` for a limit that is not an integer of 1 or more, a tensor without a
 * file, or more than 65535 files
 */
export function planGgufSplits(params: {
  metadata: GgufMetadata;
  tensors: readonly GgufTensorSpec[];
  division: GgufDivision;
}): GgufLayout[] {
  const { metadata, tensors, division } = params;
  const alignment = alignmentOf(metadata, "the files to write");
  const groups = divideTensors(tensors, division, alignment);
  const byFile = "fileOf" in division;
  const order = byFile ? SPLIT_KEY_ORDERS.quantize : SPLIT_KEY_ORDERS.split;

  // Every file is read by itself, so each needs the alignment.
  const rest: GgufMetadata = new Map(
    alignment === DEFAULT_ALIGNMENT ? [] : [[ALIGNMENT_KEY, ggufUint32(alignment)]],
  );
  return groups.map((group, index) => {
    const own = index === 0 ? metadata : rest;
    const position = { index, count: groups.length, tensorCount: tensors.length };
    return planGguf({
      metadata: byFile && groups.length === 1 ? withoutSplitKeys(own) : withSplitKeys(own, position, order),
      tensors: group,
      asGgml: true,
    });
  });
}
