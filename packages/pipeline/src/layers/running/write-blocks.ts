import type { CheckpointShard } from "@quern/checkpoints";
import type { KernelBackend } from "@quern/kernels";
import { BufferPool } from "@quern/threads";
import type { BlockRounding, PlannedBlockMatrix } from "../block-plan.ts";
import type { RunLayerTask } from "../tasks/task.ts";
import { foldAlong } from "./fold-along.ts";
import { followBlocks } from "./follow-blocks.ts";
import { KnownFactors } from "./known-factors.ts";
import type { WrittenFile } from "../../node/file-writer.ts";
import { openStages } from "./open-stages.ts";
import { MemoryGate } from "./memory-gate.ts";
import type { LayerWork } from "./quantize-group.ts";
import { quantizeAlong } from "./quantize-along.ts";
import { quantizeStages } from "./quantize-stages.ts";
import { withLayerThreads } from "./layer-threads.ts";
import { roundBlockMatrix } from "./round-block-matrix.ts";
import { type RoundedTensor, RoundedTensors } from "./rounded-tensors.ts";

/** How stages are rounded, and what becomes of their blocks. */
export interface RoundStagesParams {
  readonly rounding: BlockRounding;
  /** Whether errors are measured with the Hessian, too. */
  readonly measuresOutputs: boolean;
  /** Text that decides all blocks, but for the source of inputs. Default: nothing is kept for a later run. */
  readonly run?: string;
  /** Where inputs follow what layers become: gets the factors that are folded in. Default: nothing is known of them. */
  readonly known?: KnownFactors;
  /** Whether blocks of a matrix are there already. @default none are */
  readonly isFinished?: (planned: PlannedBlockMatrix) => boolean;
  /** Writes blocks into one of the files of all outputs. */
  readonly write: (file: number, bytes: Uint8Array, offset: number) => Promise<void>;
  /** Called when rows of a matrix have been rounded. */
  readonly onRows: (planned: PlannedBlockMatrix, rows: number) => void;
  /** Called when a matrix is written. */
  readonly onWritten: (planned: PlannedBlockMatrix, bytes: number) => void;
  /** Called when all matrices of a tensor are; gives when it is known for good. */
  readonly onTensor: (planned: PlannedBlockMatrix, tensor: RoundedTensor) => Promise<void>;
  /** Memory that several calls share. @default for this one alone */
  readonly gate?: MemoryGate;
  readonly pool?: BufferPool;
}

export interface WriteBlocksParams extends RoundStagesParams {
  readonly shards: readonly CheckpointShard[];
  readonly backend?: KernelBackend;
  readonly signal: AbortSignal;
  /** Of all outputs. */
  readonly files: readonly WrittenFile[];
}

/**
 * Rounds the tensors of outputs of GGUF for which inputs count, group by group, and writes their blocks.
 *
 * @throws the reason of the signal; QuernError `WEIGHT_NOT_FINITE`, `WEIGHT_OVERFLOWS`, `QUANTIZE_*`, `STATISTICS_*`, `OUTPUT_*`,
 * `SOURCE_*`, `WORKER_*`
 */
export async function writeBlocks(params: WriteBlocksParams): Promise<void> {
  const { rounding, shards, files, backend, signal } = params;
  const { threads } = rounding.resources;
  await withLayerThreads({ threads, shards, files, backend, signal }, (run) => roundStages(params, run));
}

/** Rounds stages with threads that are there; what `onTensor` gives is not waited for, unless inputs follow what layers become. */
export async function roundStages(params: RoundStagesParams, run: RunLayerTask): Promise<void> {
  const { rounding, measuresOutputs, known = new KnownFactors(), isFinished = () => false } = params;
  const { write, onRows, onWritten, onTensor } = params;
  const { name, stages, inputs, resources } = rounding;
  const { threads, chunkWeights, groupMemory } = resources;
  const tensors = new RoundedTensors(name);
  const { pool = new BufferPool(), gate = new MemoryGate(groupMemory) } = params;
  const work: LayerWork<PlannedBlockMatrix> = {
    inputs,
    changeInputs: rounding.changeInputs ?? (async (_planned, statistics) => statistics),
    run,
    pool,
    threads,
    chunkWeights,
    isFinished,
    async quantize(planned, layerInputs) {
      const lease = pool.lease();
      const rounded = await roundBlockMatrix({
        planned,
        inputs: layerInputs,
        measuresOutputs,
        chunkWeights,
        threads,
        run,
        lease,
        onRows: (rows) => onRows(planned, rows),
      });
      const { blocks } = rounded;
      for (const { file, offset } of planned.targets) await write(file, blocks, offset);
      onWritten(planned, blocks.byteLength * planned.targets.length);
      lease.release();
      const whole = tensors.add(planned, rounded);
      if (whole === undefined) return;
      const isKnown = onTensor(planned, whole);
      // Elsewhere rounding goes on meanwhile.
      if (inputs.follows) await isKnown;
    },
  };
  if (!inputs.follows) return quantizeStages({ stages, gate, work });
  const folding = foldAlong({ ...rounding, known, run, gate, pool });
  await quantizeAlong({
    stages: await openStages({ stages, work, run: params.run, folding }),
    gate,
    work,
    follower: followBlocks({ inputs, run, pool, folding }),
  });
}
