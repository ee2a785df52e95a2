import { compiledModule, startThreads } from "@quern/threads";
import { createService, type SlabServiceOptions } from "../node/slab-service.ts";
import type { ConversionPlan } from "../plan.ts";
import type { SlabRunner } from "./slab-runner.ts";

/**
 * Starts what runs the slabs of a plan: its threads, or this one where it has none.
 *
 * @param params.files Of all outputs, in the order of the plan; they are opened when they are needed first.
 * @param params.tasks About how many there are going to be: no more threads than these are started.
 */
export function startSlabRunners(
  plan: ConversionPlan,
  {
    files,
    tasks = Number.POSITIVE_INFINITY,
  }: { readonly files: SlabServiceOptions["files"]; readonly tasks?: number },
): Promise<SlabRunner[]> {
  return startThreads({
    count: Math.min(plan.resources.threads, tasks),
    createService,
    module: () => compiledModule("../node/slab-service.ts", import.meta.url),
    options: {
      shards: plan.checkpoint.shards,
      files: files.map(({ path, isPlaced }) => ({ path, isPlaced })),
      ...(plan.hessians === undefined ? {} : { statistics: plan.hessians.path }),
      ...(plan.backend === undefined ? {} : { backend: plan.backend }),
    },
  });
}
