import { QuernError } from "@quern/tensor";
import type { GgufLayout } from "../layout.ts";
import { planGguf } from "../write/plan-gguf.ts";
import type { GgufSet } from "./gguf-set.ts";
import { splitPositionOf, withMergedSplitKeys } from "./split-keys.ts";

/**
 * Lays out the one file that holds all tensors of a set, in the order of its files.
 *
 * It equals that of `llama-gguf-split --merge` byte for byte, which keeps the split keys and sets their count to 0.
 *
 * @param params.dropSplitKeys Whether the split keys are left out: what was split becomes what it was, as far as ggml wrote it.
 * Default false.
 * @throws QuernError `GGUF_SPLIT_INVALID` for a file that is no part of a set; or as `planGguf`
 */
export function planGgufMerge(params: { set: GgufSet; dropSplitKeys?: boolean }): GgufLayout {
  const { set, dropSplitKeys = false } = params;
  const [first] = set.files;
  if (first === undefined || !((splitPositionOf(first.metadata, first.name).count ?? 0) >= 1)) {
    const name = first?.name ?? "the set";
    throw new QuernError(
      "GGUF_SPLIT_INVALID",
      `${name}: this file is no part of a set: there is nothing to merge`,
      {
        subject: { file: name },
      },
    );
  }
  return planGguf({
    metadata: dropSplitKeys ? set.metadata : withMergedSplitKeys(first.metadata),
    tensors: [...set.tensors.values()],
    asGgml: true,
  });
}
