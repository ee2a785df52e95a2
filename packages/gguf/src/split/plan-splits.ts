import { QuernError } from "@quern/tensor";
import { ALIGNMENT_KEY, alignmentOf } from "../alignment.ts";
import { alignUp } from "../align-up.ts";
import { tensorSize } from "../ggml-type.ts";
import type { GgufLayout, GgufTensorSpec } from "../layout.ts";
import type { GgufMetadata } from "../value.ts";
import { planGguf } from "../write/plan-gguf.ts";
import { withSplitKeys } from "./split-keys.ts";
import { MAX_SPLIT_COUNT } from "./split-name.ts";

/** When a file of a set is full. */
export type SplitLimit =
  | {
      /** Tensors in one file at most. */
      readonly maxTensors: number;
    }
  | {
      /**
       * Bytes of padded tensor data in one file at most. Headers are not counted, and a single tensor above the limit has
       * a file to itself.
       */
      readonly maxBytes: number;
    };

/**
 * Lays out a set of files as llama.cpp's gguf-split does: all metadata in the first, and in each the keys that say which
 * part of the set it is. `splitFileName` names the files.
 *
 * @param params.firstWithoutTensors Whether the first file holds metadata only. Default false.
 * @throws QuernError as `planGguf`; `GGUF_SPLIT_INVALID` for a limit that is not an integer of 1 or more, or more than
 * 65535 files
 */
export function planGgufSplits(params: {
  metadata: GgufMetadata;
  tensors: readonly GgufTensorSpec[];
  limit: SplitLimit;
  firstWithoutTensors?: boolean;
}): GgufLayout[] {
  const { metadata, tensors, limit, firstWithoutTensors = false } = params;
  const alignment = alignmentOf(metadata, "the files to write");
  const groups = groupTensors(tensors, limit, alignment);
  if (firstWithoutTensors) groups.unshift([]);
  if (groups.length > MAX_SPLIT_COUNT) throw limitError(`the limit makes ${groups.length} files`);

  // Every file is read by itself, so each needs the alignment.
  const stated = metadata.get(ALIGNMENT_KEY);
  const rest: GgufMetadata = new Map(stated === undefined ? [] : [[ALIGNMENT_KEY, stated]]);
  return groups.map((group, index) =>
    planGguf({
      metadata: withSplitKeys(index === 0 ? metadata : rest, {
        index,
        count: groups.length,
        tensorCount: tensors.length,
      }),
      tensors: group,
    }),
  );
}

function groupTensors(
  tensors: readonly GgufTensorSpec[],
  limit: SplitLimit,
  alignment: number,
): GgufTensorSpec[][] {
  const byCount = "maxTensors" in limit;
  const maximum = byCount ? limit.maxTensors : limit.maxBytes;
  if (!Number.isSafeInteger(maximum) || maximum < 1) throw limitError(`a limit of ${maximum}`);

  let group: GgufTensorSpec[] = [];
  const groups = [group];
  let used = 0;
  for (const tensor of tensors) {
    const cost = byCount ? 1 : alignUp(tensorSize(tensor.type, tensor.ne), alignment);
    if (group.length > 0 && used + cost > maximum) {
      group = [];
      groups.push(group);
      used = 0;
    }
    group.push(tensor);
    used += cost;
  }
  return groups;
}

function limitError(what: string): QuernError {
  return new QuernError(
    "GGUF_SPLIT_INVALID",
    `${what}: expected an integer of 1 or more that makes at most ${MAX_SPLIT_COUNT} files`,
  );
}
