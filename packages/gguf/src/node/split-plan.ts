import { resolve } from "node:path";
import type { GgufDivision } from "../split/division.ts";
import { planGgufSplits } from "../split/plan-splits.ts";
import { splitFileName, splitPrefix } from "../split/split-name.ts";
import { copiedFiles, type GgufCopyPlan, planCopy } from "./copy-plan.ts";
import { openGgufSet } from "./open-set.ts";

/**
 * Plans to divide a GGUF file among several, as `llama-gguf-split --split` does. A set is divided anew.
 *
 * @param params.path File to split, or any file of a set.
 * @param params.output Path whose name the new files get: "out/model" or "out/model.gguf" make "out/model-00001-of-00003.gguf".
 * Default: `path`.
 * @param params.force Whether files that exist are replaced; those that are read never are. Default false.
 * @throws QuernError as `openGgufSet`, `planGgufSplits` and `checkOutputPlaces`
 */
export async function planGgufFileSplit(params: {
  path: string;
  output?: string;
  division: GgufDivision;
  force?: boolean;
}): Promise<GgufCopyPlan> {
  const { path, division, force = false } = params;
  const prefix = splitPrefix(resolve(params.output ?? path));
  const set = await openGgufSet({ path });
  try {
    const layouts = planGgufSplits({
      metadata: set.files[0]!.metadata,
      tensors: [...set.tensors.values()],
      division,
    });
    const paths = layouts.map((_, index) => splitFileName({ prefix, index, count: layouts.length }));
    return await planCopy({ set, files: copiedFiles({ set, layouts, paths }), force });
  } finally {
    await set.close();
  }
}
