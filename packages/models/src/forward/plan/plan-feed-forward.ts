import { QuernError } from "@quern/tensor";
import type { ExpertsGraph, FeedForwardGraph, LinearGraph, NetworkGraph } from "../graph.ts";
import type { Activation, ExpertsRecord } from "../record.ts";
import { type BlockContext, planNorms } from "./plan-context.ts";

/** Where most families have their norm of the feed-forward network. */
const NORM_PLACES = { before: ["ffn_norm"] };

/** What config.json may call the functions (transformers, `ACT2CLS`). */
const ACTIVATIONS: ReadonlyMap<string, Activation> = new Map([
  ["silu", "silu"],
  ["swish", "silu"],
  ["gelu", "gelu"],
  ["gelu_python", "gelu"],
  ["gelu_new", "gelu-tanh"],
  ["gelu_fast", "gelu-tanh"],
  ["gelu_pytorch_tanh", "gelu-tanh"],
  ["quick_gelu", "gelu-quick"],
  ["relu", "relu"],
  ["relu2", "relu-squared"],
]);

/** Numbers of llama.cpp for how experts are weighted (llama-hparams.h, `llama_expert_gating_func_type`). */
const GATING: ReadonlyMap<number, ExpertsRecord["gating"]> = new Map([
  [1, "softmax"],
  [2, "sigmoid"],
  [3, "selected-softmax"],
]);

export function planFeedForward(context: BlockContext): FeedForwardGraph {
  const { record, block } = context;
  const norms = planNorms(context, { ...NORM_PLACES, ...record.feedForward });
  return block.has("ffn_gate_inp")
    ? { kind: "experts", norms, ...planExperts(context) }
    : { kind: "dense", norms, network: planNetwork(context, "") };
}

/** A network whose modules have names with the given ending. */
function planNetwork(context: BlockContext, ending: string): NetworkGraph {
  const { block, width } = context;
  const hasGate = block.has(`ffn_gate${ending}`);
  const up = block.linear(`ffn_up${ending}`, { inputs: width });
  const hidden = block.shape(`ffn_down${ending}`).at(-1)!;
  const fused = !hasGate && up.outputs === 2 * hidden;
  return {
    activation: activationOf(context),
    ...(hasGate && { gate: block.linear(`ffn_gate${ending}`, { inputs: width, outputs: hidden }) }),
    up: block.linear(`ffn_up${ending}`, { inputs: width, outputs: fused ? 2 * hidden : hidden }),
    fused,
    down: block.linear(`ffn_down${ending}`, { inputs: hidden, outputs: width }),
  };
}

function planExperts(context: BlockContext): ExpertsGraph {
  const { record, hyperparameters, block, width } = context;
  const { gating, normalized } = record.experts ?? unsupported("experts");
  const matrices = hyperparameters.integer("expert_count");
  const hidden = block.shape("ffn_down_exps").at(-1)!;
  const rows = { matrices, inputs: width, outputs: hidden };
  const used = hyperparameters.integer("expert_used_count");
  if (used < 1 || used > matrices) {
    throw new QuernError(
      "FORWARD_METADATA",
      `expert_used_count is ${used}: expected 1 to ${matrices}, the number of experts`,
      { subject: { key: "expert_used_count" } },
    );
  }
  const number = hyperparameters.optionalInteger("expert_gating_func");
  const named = number === undefined ? gating : GATING.get(number);
  const groups = groupsOf(context);
  return {
    router: block.linear("ffn_gate_inp", { inputs: width, outputs: matrices }),
    ...(block.hasPart("exp_probs_b", "bias") && { selectionBias: block.module("exp_probs_b", "bias") }),
    gating: named ?? unsupported(`gating function ${number}`),
    normalized: hyperparameters.optionalBoolean("expert_weights_norm") ?? normalized,
    scale: hyperparameters.optionalNumber("expert_weights_scale") || 1,
    used,
    ...(groups && { groups }),
    network: {
      activation: activationOf(context),
      gate: block.stacked("ffn_gate_exps", rows),
      up: block.stacked("ffn_up_exps", rows),
      fused: false,
      down: block.stacked("ffn_down_exps", { matrices, inputs: hidden, outputs: width }),
    },
    ...(block.has("ffn_up_shexp") && {
      shared: { network: planNetwork(context, "_shexp"), ...sharedRouter(context) },
    }),
  };
}

function groupsOf({ hyperparameters }: BlockContext): ExpertsGraph["groups"] {
  const count = hyperparameters.optionalInteger("expert_group_count") ?? 1;
  if (count <= 1) return undefined;
  const score = hyperparameters.optionalString("expert_group_score") ?? "best-two";
  if (score === "none") return undefined;
  if (score !== "best" && score !== "best-two") unsupported(`score ${score} of groups of experts`);
  return { count, used: hyperparameters.integer("expert_group_used_count"), score };
}

function sharedRouter({ block, width }: BlockContext): { router?: LinearGraph } {
  if (!block.has("ffn_gate_inp_shexp")) return {};
  return { router: block.linear("ffn_gate_inp_shexp", { inputs: width, outputs: 1 }) };
}

function activationOf({ record, hyperparameters }: BlockContext): Activation {
  const name = hyperparameters.optionalString("feed_forward.activation");
  if (name === undefined) return record.feedForward.activation;
  return ACTIVATIONS.get(name) ?? unsupported(`activation ${JSON.stringify(name)}`);
}

function unsupported(what: string): never {
  throw new QuernError("FORWARD_UNSUPPORTED", `feed-forward networks with the ${what} are not computed`);
}
