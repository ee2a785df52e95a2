import { QuernError } from "@quern/tensor";
import type { RopeGraph } from "../graph.ts";
import type { RopeRecord } from "../record.ts";
import { yarnMagnitude } from "../yarn.ts";
import type { ModelHyperparameters } from "./model-hyperparameters.ts";
import type { TensorSection } from "./model-tensors.ts";

/** Base of the frequencies where nothing says otherwise (llama-model.cpp, `rope_freq_base_train`). */
const DEFAULT_BASE = 10_000;

/** Turns within the original context above and below which YaRN changes nothing or everything (the paper, section 3.2). */
const DEFAULT_BETA_FAST = 32;
const DEFAULT_BETA_SLOW = 1;

interface Scaling {
  readonly frequencies: readonly number[];
  readonly magnitude: number;
}

/** How positions turn the heads of a block. */
export function planRope(params: {
  readonly record: RopeRecord;
  readonly hyperparameters: ModelHyperparameters;
  /** Tensors outside the blocks. */
  readonly tensors: TensorSection;
  readonly slides: boolean;
  readonly rotated: number;
}): RopeGraph {
  const { record, hyperparameters, tensors, slides, rotated } = params;
  const { layout, unscaledWindows } = record;
  const base = hyperparameters.optionalNumber("rope.freq_base") ?? DEFAULT_BASE;
  if (slides && unscaledWindows !== undefined) {
    const own = hyperparameters.optionalNumber("rope.freq_base_swa") ?? unscaledWindows.base ?? base;
    return { layout, rotated, frequencies: plainFrequencies(own, rotated), magnitude: 1 };
  }
  const { frequencies, magnitude } = scale({ hyperparameters, base, rotated });
  const factor = hyperparameters.optionalNumber("rope.scaling.attn_factor") ?? 1;
  return {
    layout,
    rotated,
    frequencies,
    magnitude: magnitude * factor,
    ...factorTensors(hyperparameters, tensors),
  };
}

function plainFrequencies(base: number, rotated: number): number[] {
  return Array.from({ length: rotated / 2 }, (_, pair) => base ** ((-2 * pair) / rotated));
}

function scale(params: { hyperparameters: ModelHyperparameters; base: number; rotated: number }): Scaling {
  const { hyperparameters, base, rotated } = params;
  const plain = plainFrequencies(base, rotated);
  const type = hyperparameters.optionalString("rope.scaling.type") ?? "linear";
  const factor = hyperparameters.optionalNumber("rope.scaling.factor") ?? 1;
  switch (type) {
    case "none":
    case "longrope":
      return { frequencies: plain, magnitude: 1 };
    case "linear":
      return { frequencies: plain.map((frequency) => frequency / factor), magnitude: 1 };
    case "yarn":
      return yarn({ ...params, plain, factor });
    default:
      throw new QuernError(
        "FORWARD_UNSUPPORTED",
        `rotary positions of the kind ${JSON.stringify(type)} are not computed: expected none, linear, yarn or longrope`,
        { subject: { key: "rope.scaling.type" } },
      );
  }
}

/** YaRN: fast pairs as they are, slow ones interpolated, a mixture between (the paper, section 3.2). */
function yarn(params: {
  hyperparameters: ModelHyperparameters;
  base: number;
  rotated: number;
  plain: readonly number[];
  factor: number;
}): Scaling {
  const { hyperparameters, base, rotated, plain, factor } = params;
  const context = originalContext(hyperparameters);
  const fast = hyperparameters.optionalNumber("rope.scaling.yarn_beta_fast") ?? DEFAULT_BETA_FAST;
  const slow = hyperparameters.optionalNumber("rope.scaling.yarn_beta_slow") ?? DEFAULT_BETA_SLOW;
  const truncates = hyperparameters.optionalBoolean("rope.scaling.yarn_truncate") ?? true;
  const pairWithTurns = (turns: number): number =>
    (rotated * Math.log(context / (turns * 2 * Math.PI))) / (2 * Math.log(base));
  const [first, last] = [pairWithTurns(fast), pairWithTurns(slow)];
  const low = Math.max(truncates ? Math.floor(first) : first, 0);
  const high = Math.min(truncates ? Math.ceil(last) : last, rotated - 1);
  const width = Math.max(high - low, 0.001);
  const frequencies = plain.map((frequency, pair) => {
    const interpolated = Math.min(Math.max((pair - low) / width, 0), 1);
    return (frequency / factor) * interpolated + frequency * (1 - interpolated);
  });
  return { frequencies, magnitude: yarnFactor(hyperparameters, factor) };
}

/** Factor of sine and cosine: given, or that of the paper, part of which may be in the scale of the scores (DeepSeek). */
function yarnFactor(hyperparameters: ModelHyperparameters, factor: number): number {
  const given = hyperparameters.optionalNumber("rope.scaling.yarn_attn_factor");
  if (given !== undefined) return given;
  return hyperparameters.optionalNumber("rope.scaling.yarn_log_multiplier") === undefined
    ? yarnMagnitude(factor)
    : 1;
}

function originalContext(hyperparameters: ModelHyperparameters): number {
  return (
    hyperparameters.optionalInteger("rope.scaling.original_context_length") ??
    hyperparameters.integer("context_length")
  );
}

function factorTensors(
  hyperparameters: ModelHyperparameters,
  tensors: TensorSection,
): Pick<RopeGraph, "factors" | "contextFactors"> {
  if (tensors.has("rope_freqs")) return { factors: tensors.module("rope_freqs") };
  const isLong = hyperparameters.optionalString("rope.scaling.type") === "longrope";
  if (!isLong && !tensors.has("rope_factors_short")) return {};
  const short = tensors.module("rope_factors_short");
  const long = tensors.module("rope_factors_long");
  return { contextFactors: { short, long, context: originalContext(hyperparameters) } };
}
