import { join } from "node:path";
import { partialPathOf } from "@quern/tensor/node";
import type { WrittenFile } from "../../node/file-writer.ts";
import type { CheckpointPlan } from "../plan.ts";

/** Files of weights while the folder of a plan is written. */
export function partialFiles({
  folder,
  checkpoint,
}: Pick<CheckpointPlan, "folder" | "checkpoint">): WrittenFile[] {
  return checkpoint.shards.shards.map(({ fileName }) => {
    const name = join(partialPathOf(folder), fileName);
    return { path: name, name };
  });
}
