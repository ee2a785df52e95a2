import type { QuantizedCheckpointPlan, TensorOrigin } from "@quern/checkpoints";
import type { TensorInfo } from "@quern/tensor";
import type { LayeredModel } from "../linear-layers.ts";
import type { CheckedLinear } from "./plan-linear.ts";
import type { PlannedCopy } from "../plan.ts";
import type { Target } from "../tasks/target.ts";
import { weightsOf } from "./weights-of.ts";

/**
 * Tensors with the types in which they will be stored, unless they are quantized: then outputs x inputs.
 *
 * @param params.output A tensor that there is not yet.
 */
export function storedTensors(
  { tensors, dtype }: LayeredModel,
  { layers, output }: { readonly layers: readonly CheckedLinear[]; readonly output: TensorInfo | undefined },
): TensorInfo[] {
  const exchanged = new Set(
    layers.flatMap(({ linear }) => (linear.exchanged ? [`${linear.module}.weight`] : [])),
  );
  const stored = [...tensors].map(([name, { info, quantized }]) => ({
    ...info,
    ...(quantized && { type: dtype }),
    ...(exchanged.has(name) && { shape: info.shape.toReversed() }),
  }));
  return output === undefined ? stored : [...stored.filter(({ name }) => name !== output.name), output];
}

/** @param source Tensor that is read. */
export function planCopy(
  model: LayeredModel,
  source: string,
  { name, target }: Pick<PlannedCopy, "name" | "target">,
): PlannedCopy {
  const weights = weightsOf(model, source);
  const type = model.tensors.get(source)!.quantized ? model.dtype : weights.type;
  return { name, weights, type, target };
}

/**
 * What is copied into the files that are written.
 *
 * @param params.untied Tensor that is made of another one.
 */
export function copiesOf(params: {
  readonly model: LayeredModel;
  readonly checkpoint: QuantizedCheckpointPlan;
  readonly targets: ReadonlyMap<string, Target>;
  readonly untied: string | undefined;
}): PlannedCopy[] {
  const { model, checkpoint, targets, untied } = params;
  return [...checkpoint.origins].flatMap(([name, origin]) =>
    name === untied
      ? []
      : copiedBy(origin).map((tensor) =>
          planCopy(model, tensor, { name: tensor, target: targets.get(tensor)! }),
        ),
  );
}

function copiedBy(origin: TensorOrigin): readonly string[] {
  if ("copies" in origin) return origin.copies;
  return "copy" in origin ? [origin.copy] : [];
}
