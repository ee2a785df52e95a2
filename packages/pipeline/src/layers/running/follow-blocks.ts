import type { InputSource } from "@quern/statistics";
import type { BufferPool } from "@quern/threads";
import type { PlannedBlockMatrix } from "../block-plan.ts";
import type { PlannedStage } from "../plan.ts";
import type { RunLayerTask } from "../tasks/task.ts";
import { foldWeights, mapLayers } from "./changed-work.ts";
import type { FoldAlong } from "./fold-along.ts";
import type { StageFollower } from "./quantize-along.ts";

/**
 * After each stage, the source of inputs gets what the blocks of its tensors stand for: as they are read back from the file, whichever run
 * has written them.
 */
export function followBlocks(params: {
  readonly inputs: InputSource;
  readonly run: RunLayerTask;
  readonly pool: BufferPool;
  readonly folding: FoldAlong;
}): StageFollower<PlannedBlockMatrix> {
  const { inputs, run, pool, folding } = params;
  return {
    async blockBegins(stages) {
      const changes = await folding.begin(stages[0]!.block);
      return mapLayers(stages, (planned) => ({ ...planned, weights: foldWeights(planned.weights, changes) }));
    },
    async stageDone(stage) {
      for (const [tensor, matrices] of byTensor(stage)) {
        const lease = pool.lease();
        const sizes = matrices.map(({ linear: { rows, columns } }) => rows * columns);
        const values = new Float32Array(lease.take(4 * sizes.reduce((sum, size) => sum + size, 0)));
        await Promise.all(
          matrices.map(({ type, matrix, targets, linear: { rows, columns } }) => {
            const size = rows * columns;
            const into = values.subarray(matrix * size, (matrix + 1) * size);
            return run({ kind: "read-blocks", tensor, type, target: targets[0]!, rows, columns, into });
          }),
        );
        await inputs.replace({ tensor, values });
        lease.release();
      }
    },
  };
}

/** All matrices of a stack are of the same stage. */
function byTensor({ groups }: PlannedStage<PlannedBlockMatrix>): Map<string, PlannedBlockMatrix[]> {
  const tensors = new Map<string, PlannedBlockMatrix[]>();
  for (const planned of groups.flatMap(({ layers }) => layers)) {
    tensors.set(planned.name, [...(tensors.get(planned.name) ?? []), planned]);
  }
  return tensors;
}
