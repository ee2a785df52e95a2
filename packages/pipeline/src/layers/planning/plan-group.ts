import { formatOf } from "@quern/checkpoints";
import { QuernError } from "@quern/tensor";
import type { LayeredModel } from "../linear-layers.ts";
import type { InputNeeds, PlannedGroup, PlannedLinear } from "../plan.ts";
import type { Target } from "../tasks/target.ts";
import { consumesHessian, groupBytes } from "./memory.ts";
import { planCopy } from "./plan-copies.ts";
import type { CheckedLinear } from "./plan-linear.ts";
import type { LinearGroup } from "./stages.ts";
import { layerWeights } from "./weights-of.ts";

const FLOATS: ReadonlySet<string> = new Set(["F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"]);

/**
 * Layers that read the same inputs, with what is to be known of these.
 *
 * @throws QuernError `STATISTICS_UNKNOWN_MODULE`, `TENSOR_TYPE_UNSUPPORTED`
 */
export function planGroup(
  group: LinearGroup,
  context: {
    readonly model: LayeredModel;
    readonly targets: ReadonlyMap<string, Target>;
    readonly follows: boolean;
    readonly whole: ReadonlySet<string>;
  },
): PlannedGroup {
  const needs = group.layers
    .map((layer) => layer.needs)
    .reduce((all, next): InputNeeds => ({
      channels: all.channels || next.channels,
      hessian: all.hessian || next.hessian,
      cross: all.cross || next.cross,
      heldOut: all.heldOut || next.heldOut,
      histogram: all.histogram || next.histogram,
    }));
  const { columns, module } = group.layers[0]!.linear;
  if (group.inputs === undefined && (needs.channels || needs.hessian)) {
    throw new QuernError(
      "STATISTICS_UNKNOWN_MODULE",
      `"${module}": nothing is known of its inputs, as the model is computed in another way; a rule can keep it as it is`,
      { subject: { tensor: module } },
    );
  }
  const consumes = consumesHessian(group.layers);
  return {
    ...(group.inputs && { inputs: group.inputs }),
    needs,
    consumesHessian: consumes,
    columns,
    layers: group.layers.map((layer) => planLinear(layer, context)),
    bytes: groupBytes({
      layers: group.layers,
      needs,
      consumesHessian: consumes,
      columns,
      follows: context.follows,
      whole: ({ linear }) => context.whole.has(`${linear.module}.weight`),
    }),
  };
}

function planLinear(
  { sharesLargest, ...checked }: CheckedLinear,
  { model, targets }: { readonly model: LayeredModel; readonly targets: ReadonlyMap<string, Target> },
): PlannedLinear {
  const { linear, decision } = checked;
  const weights = layerWeights(model, linear);
  if (!FLOATS.has(weights.type)) {
    throw new QuernError(
      "TENSOR_TYPE_UNSUPPORTED",
      `Tensor "${weights.tensor}" is ${weights.type}: expected one of ${[...FLOATS].join(", ")}`,
      { subject: { tensor: weights.tensor } },
    );
  }
  const parts = formatOf(decision.format).parts(checked.layer);
  return {
    ...checked,
    weights,
    targets: new Map(parts.map(({ suffix }) => [suffix, targets.get(linear.module + suffix)!])),
    ...(decision.correctBias && linear.bias !== undefined
      ? { bias: planCopy(model, linear.bias, { name: linear.bias, target: targets.get(linear.bias)! }) }
      : {}),
    ...(sharesLargest === undefined ? {} : { sharesLargest }),
  };
}
