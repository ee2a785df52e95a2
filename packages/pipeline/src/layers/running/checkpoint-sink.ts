import type { LayerConstants } from "@quern/checkpoints";
import type { InputStatistics } from "@quern/statistics";
import type { CheckpointEvent, LayerResultFigures } from "../events.ts";
import type { PlannedLinear } from "../plan.ts";
import type { RunLayerTask } from "../tasks/task.ts";
import type { FinishedWork } from "./finished-work.ts";
import { inputScale } from "./input-scale.ts";
import type { QuantizedLinear } from "./quantize-layer.ts";

/** Writes layers as the tensors of a checkpoint, each when it is whole. */
export interface CheckpointSink {
  write(
    planned: PlannedLinear,
    quantized: QuantizedLinear,
    inputs: InputStatistics | undefined,
  ): Promise<void>;
}

export function checkpointSink(params: {
  readonly run: RunLayerTask;
  readonly progress: (tensor: string, elements: number, bytes: number) => void;
  readonly finished: FinishedWork;
  readonly onEvent?: (event: CheckpointEvent) => void;
}): CheckpointSink {
  const { run, progress, finished, onEvent } = params;
  return {
    async write(planned, quantized, inputs) {
      const { linear, decision, layer, weights, targets } = planned;
      const bytes = await run({
        kind: "pack",
        module: linear.module,
        format: decision.format,
        layer,
        matrix: quantized.matrix,
        constants: constantsOf(planned, inputs),
        targets,
      });
      progress(weights.tensor, 0, bytes);
      await writeBias(planned, quantized, params);
      const result = resultOf(planned, quantized);
      await finished.layerDone(planned, result);
      onEvent?.({ type: "tensor:done", name: weights.tensor, finished: finished.layers, result });
    },
  };
}

async function writeBias(
  { bias }: PlannedLinear,
  { biasShift }: QuantizedLinear,
  { run, progress }: Pick<Parameters<typeof checkpointSink>[0], "run" | "progress">,
): Promise<void> {
  if (bias === undefined) return;
  const { weights, type, target } = bias;
  const { rows, columns } = weights;
  const shift = biasShift && { shift: biasShift };
  const bytes = await run({ kind: "copy-rows", weights, type, firstRow: 0, rows, target, ...shift });
  progress(weights.tensor, rows * columns, bytes);
}

function constantsOf(planned: PlannedLinear, inputs: InputStatistics | undefined): LayerConstants {
  if (planned.layer.parameters.activations !== "static" || inputs === undefined) return {};
  return { inputScale: inputScale(planned, inputs) };
}

function resultOf(
  { linear, decision, layer }: PlannedLinear,
  { figures, keptNearest, outputError, damping, deadColumns }: QuantizedLinear,
): LayerResultFigures {
  const { squaredErrors, squaredWeights } = figures;
  return {
    module: linear.module,
    format: decision.format,
    bits: layer.parameters.bits,
    elements: linear.rows * linear.columns,
    rounding: keptNearest ? "nearest" : decision.treatment.rounding.name,
    squaredErrors,
    squaredWeights,
    relativeError: squaredErrors === 0 ? 0 : Math.sqrt(squaredErrors / squaredWeights),
    ...(outputError && { outputError }),
    ...(damping === undefined ? {} : { damping }),
    ...(deadColumns === undefined ? {} : { deadColumns }),
  };
}
