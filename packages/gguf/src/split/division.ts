import { QuernError } from "@quern/tensor";
import { alignUp } from "../align-up.ts";
import { tensorSize } from "../ggml-type.ts";
import type { GgufTensorSpec } from "../layout.ts";
import { MAX_SPLIT_COUNT } from "./split-name.ts";

interface DivisionByLimit {
  /** Whether the first file holds metadata only, which makes it quick to replace. @default false */
  readonly firstWithoutTensors?: boolean;
}

/** Which file of a set each tensor goes to. */
export type GgufDivision =
  | (DivisionByLimit & {
      /** Tensors in one file at most. */
      readonly maxTensors: number;
    })
  | (DivisionByLimit & {
      /**
       * Bytes of padded tensor data in one file at most. Headers are not counted, and a single tensor above the limit has
       * a file to itself.
       */
      readonly maxBytes: number;
    })
  | {
      /** The file of each tensor by its name, counted from 0. */
      readonly fileOf: ReadonlyMap<string, number>;
    };

/**
 * Divides tensors among files.
 *
 * @returns the tensors of each file, in the order given
 * @throws QuernError `GGUF_SPLIT_INVALID` for a limit that is not an integer of 1 or more, a tensor without a file, or more
 * than 65535 files
 */
export function divideTensors(
  tensors: readonly GgufTensorSpec[],
  division: GgufDivision,
  alignment: number,
): GgufTensorSpec[][] {
  if ("fileOf" in division) return groupByFile(tensors, division.fileOf);
  const groups = fillFiles(tensors, division, alignment);
  if (division.firstWithoutTensors === true) groups.unshift([]);
  if (groups.length > MAX_SPLIT_COUNT) throw limitError(`the limit makes ${groups.length} files`);
  return groups;
}

function groupByFile(
  tensors: readonly GgufTensorSpec[],
  fileOf: ReadonlyMap<string, number>,
): GgufTensorSpec[][] {
  const groups: GgufTensorSpec[][] = [[]];
  for (const tensor of tensors) {
    const file = fileOf.get(tensor.name);
    if (file === undefined || !Number.isInteger(file) || file < 0 || file >= MAX_SPLIT_COUNT) {
      throw new QuernError(
        "GGUF_SPLIT_INVALID",
        `tensor "${tensor.name}" goes to file ${file}: expected a number from 0 to ${MAX_SPLIT_COUNT - 1}`,
        { subject: { tensor: tensor.name } },
      );
    }
    while (groups.length <= file) groups.push([]);
    groups[file]?.push(tensor);
  }
  return groups;
}

function fillFiles(
  tensors: readonly GgufTensorSpec[],
  limit: { maxTensors: number } | { maxBytes: number },
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
