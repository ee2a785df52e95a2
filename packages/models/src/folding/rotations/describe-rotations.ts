import type { TensorInfo } from "@quern/tensor";
import { forwardModel } from "../../forward/forward-model.ts";
import { planForward } from "../../forward/plan/plan-forward.ts";
import { describeFoldings } from "../describe-foldings.ts";
import { DescribedWeights, type FoldableModel } from "../described-weights.ts";
import type { OmittedFolding } from "../folding.ts";
import { headRotation } from "./head-rotation.ts";
import type { HeadRotation, ModelRotations } from "./model-rotations.ts";
import { residualRotation } from "./residual-rotation.ts";

/**
 * What of a checkpoint can be rotated without changing what the model computes and without computing more: hidden states, where nothing but
 * RMS norms stands between what writes and what reads them, and the values of attention heads.
 *
 * @param params.tensors Of the checkpoint; of quantized layers what is stored, or the weight.
 */
export function describeRotations(params: {
  readonly description: FoldableModel;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
}): ModelRotations {
  const found = describeFoldings(params);
  const { description } = params;
  if (found.foldings.length === 0) return { heads: [], omitted: found.omitted };
  const graph = planForward(forwardModel(description));
  const heads: HeadRotation[] = [];
  const omitted: OmittedFolding[] = [];
  const residual = residualRotation(graph, { ...found, model: new DescribedWeights(params) });
  if (typeof residual === "string") omitted.push({ name: description.architecture, reason: residual });
  for (const { layer, attention } of graph.blocks) {
    const rotation = headRotation(attention, { ...found, layer });
    if (typeof rotation !== "string") heads.push(rotation);
    else omitted.push({ name: attention.output.module, layer, reason: rotation });
  }
  return { ...(typeof residual === "string" ? {} : { residual }), heads, omitted };
}
