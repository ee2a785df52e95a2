import type { InputSource } from "@quern/statistics";
import type { PlannedBlockMatrix } from "../block-plan.ts";
import type { RunLayerTask } from "../tasks/task.ts";
import type { StageFollower } from "./quantize-stages.ts";

export interface BlockFollower extends StageFollower {
  matrixDone(planned: PlannedBlockMatrix, blocks: Uint8Array): Promise<void>;
}

/** After each stage, the source of inputs gets what the blocks of its tensors stand for. */
export function followBlocks(params: {
  readonly inputs: InputSource;
  readonly run: RunLayerTask;
}): BlockFollower {
  const { inputs, run } = params;
  /** By tensor. */
  const changed = new Map<string, Float32Array>();
  return {
    async matrixDone({ name, matrix, matrices, type, linear: { rows, columns } }, blocks) {
      const size = rows * columns;
      const values = changed.get(name) ?? new Float32Array(new SharedArrayBuffer(4 * matrices * size));
      changed.set(name, values);
      const into = values.subarray(matrix * size, (matrix + 1) * size);
      await run({ kind: "dequantize-blocks", tensor: name, type, blocks, rows, columns, into });
    },
    async stageDone() {
      for (const [tensor, values] of changed) await inputs.replace({ tensor, values });
      changed.clear();
    },
  };
}
