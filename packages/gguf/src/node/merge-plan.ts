import { resolve } from "node:path";
import { planGgufMerge } from "../split/plan-merge.ts";
import { copiedFiles, type GgufCopyPlan, planCopy } from "./copy-plan.ts";
import { openGgufSet } from "./open-set.ts";

/**
 * Plans to join the files of a set into one, as `llama-gguf-split --merge` does.
 *
 * @param params.path Any file of the set.
 * @param params.dropSplitKeys As for `planGgufMerge`.
 * @param params.force Whether a file that exists is replaced; one of the set never is. Default false.
 * @throws QuernError as `openGgufSet`, `planGgufMerge` and `checkOutputPlaces`
 */
export async function planGgufFileMerge(params: {
  path: string;
  output: string;
  dropSplitKeys?: boolean;
  force?: boolean;
}): Promise<GgufCopyPlan> {
  const { path, output, dropSplitKeys = false, force = false } = params;
  const set = await openGgufSet({ path });
  try {
    const layouts = [planGgufMerge({ set, dropSplitKeys })];
    return await planCopy({ set, files: copiedFiles({ set, layouts, paths: [resolve(output)] }), force });
  } finally {
    await set.close();
  }
}
