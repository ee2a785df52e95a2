import type { PlannedMatrix, PlannedStage } from "../plan.ts";
import type { FoldAlong } from "./fold-along.ts";
import type { LayerWork } from "./quantize-group.ts";

/**
 * The stages that are to be gone through where inputs follow what layers become: not those of blocks behind which the source of inputs
 * can go on.
 *
 * @param params.run Text that decides what layers become; absent where runs cannot be told apart.
 */
export async function openStages<M extends PlannedMatrix>(params: {
  readonly stages: readonly PlannedStage<M>[];
  readonly work: Pick<LayerWork<M>, "inputs" | "isFinished">;
  readonly run: string | undefined;
  readonly folding: Pick<FoldAlong, "hasBegun">;
}): Promise<readonly PlannedStage<M>[]> {
  const { stages, work, run, folding } = params;
  const open = stages.find(
    ({ block, groups }) =>
      !folding.hasBegun(block) ||
      groups.some(({ layers }) => layers.some((planned) => !work.isFinished(planned))),
  );
  if (open === undefined) return [];
  const { inputs } = work;
  if (run === undefined || inputs?.begin === undefined) return stages;
  const from = await inputs.begin({ run, finished: open.block ?? blocksOf(stages) });
  return stages.filter(({ block = Infinity }) => block >= from);
}

function blocksOf(stages: readonly PlannedStage<PlannedMatrix>[]): number {
  return stages.reduce((most, { block = -1 }) => Math.max(most, block + 1), 0);
}
