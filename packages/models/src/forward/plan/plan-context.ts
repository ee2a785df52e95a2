import type { NormGraph, NormsGraph } from "../graph.ts";
import type { ForwardRecord, NormPlaces } from "../record.ts";
import type { ModelHyperparameters } from "./model-hyperparameters.ts";
import type { TensorSection } from "./model-tensors.ts";

/** What the parts of a plan are made from. */
export interface PlanContext {
  readonly record: ForwardRecord;
  readonly hyperparameters: ModelHyperparameters;
  /** Tensors outside the blocks. */
  readonly model: TensorSection;
  /** Elements of a hidden state. */
  readonly width: number;
  readonly epsilon: number;
}

export interface BlockContext extends PlanContext {
  readonly layer: number;
  /** Tensors of the block. */
  readonly block: TensorSection;
}

/** Epsilon of the norms. */
export function normEpsilon({ norm }: ForwardRecord, hyperparameters: ModelHyperparameters): number {
  return hyperparameters.number(
    norm === "rms" ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon",
  );
}

/** A norm of hidden states. */
export function planNorm(
  { record, epsilon, width }: PlanContext,
  tensors: TensorSection,
  module: string,
): NormGraph {
  return tensors.norm(module, { kind: record.norm, epsilon, size: width });
}

/** The norms around a part of the block, as far as the block has them. */
export function planNorms(context: BlockContext, { before, after, residual }: NormPlaces): NormsGraph {
  const { block } = context;
  const first = before.find((module) => block.has(module));
  const has = (module: string | undefined): module is string => module !== undefined && block.has(module);
  return {
    ...(first !== undefined && { before: planNorm(context, block, first) }),
    ...(has(after) && { after: planNorm(context, block, after) }),
    ...(has(residual) && { residual: planNorm(context, block, residual) }),
  };
}
