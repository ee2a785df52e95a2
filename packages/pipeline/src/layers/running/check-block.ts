import { foldTensor, type WeightChanges } from "@quern/models";
import { QuernError } from "@quern/tensor";
import type { PlannedBlockCheck } from "../plan.ts";
import type { RunLayerTask } from "../tasks/task.ts";

/** Rounding to F32 makes some 1e-6. */
const TOLERANCE = 1e-3;

/**
 * Makes sure that a block computes what it did before factors or rotations were folded into it.
 *
 * @throws QuernError `FOLDING_CHANGES_MODEL`
 */
export async function checkBlock(params: {
  readonly check: PlannedBlockCheck;
  readonly changes: WeightChanges;
  /** How hidden states are rotated. @default not at all */
  readonly rotation?: { readonly size: number; readonly seed: number };
  readonly run: RunLayerTask;
}): Promise<void> {
  const { check, changes, run, rotation } = params;
  const { graph, width, tensors, sources } = check;
  const error = await run({
    kind: "compare-block",
    graph,
    width,
    original: tensors,
    folded: tensors.map((tensor) => foldTensor(tensor, changes)),
    sources,
    ...(rotation && { rotation }),
    tolerance: TOLERANCE,
  });
  if (error <= TOLERANCE) return;
  throw new QuernError(
    "FOLDING_CHANGES_MODEL",
    `block ${graph.layer} computes something else with its transforms: what it adds to hidden states is off by ${error.toPrecision(3)} ` +
      `of itself, expected at most ${TOLERANCE}. Transforms are not safe for this model; take a recipe without`,
    { subject: { key: `blk.${graph.layer}` } },
  );
}
