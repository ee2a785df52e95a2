import type { PlannedMatrix, PlannedStage } from "../plan.ts";

/** Layers of blocks of which something is not finished: whoever follows what layers become runs these from their beginning. */
export function layersOfOpenBlocks<Layer extends PlannedMatrix>(
  stages: readonly PlannedStage<Layer>[],
  isFinished: (layer: Layer) => boolean,
): Layer[] {
  const layersOf = ({ groups }: PlannedStage<Layer>): Layer[] => groups.flatMap(({ layers }) => layers);
  const open = new Set(
    stages.filter((stage) => !layersOf(stage).every(isFinished)).map(({ block }) => block),
  );
  return stages.filter(({ block }) => open.has(block)).flatMap(layersOf);
}
