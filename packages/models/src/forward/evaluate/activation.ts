import type { ForwardMath } from "../kernels.ts";
import type { Activation } from "../record.ts";

/** Constants of gpt-oss (transformers, `GptOssExperts`). */
const OAI_ALPHA = 1.702;
const OAI_LIMIT = 7;

/** Whether a gated network computes f(gate) * up: a multiple of `up` gives the same multiple of the result. */
export function isLinearInUp(activation: Activation): boolean {
  return activation !== "swiglu-oai";
}

/** f(x), or f(gate) * up; the result may be in the memory of `x`. */
export function applyActivation(
  math: ForwardMath,
  activation: Activation,
  { x, up }: { readonly x: Float32Array; readonly up?: Float32Array },
): Float32Array {
  if (activation === "swiglu-oai") return clampedSwiglu(x, up ?? x);
  math.activate({ kind: activation, x, y: x, ...(up !== undefined && { up }) });
  return x;
}

/** (up + 1) * gate * sigmoid(1.702 gate), with both clamped at 7. */
function clampedSwiglu(gate: Float32Array, up: Float32Array): Float32Array {
  return gate.map((value, index) => {
    const clamped = Math.min(value, OAI_LIMIT);
    const factor = Math.max(-OAI_LIMIT, Math.min(up[index]!, OAI_LIMIT)) + 1;
    return (factor * clamped) / (1 + Math.exp(-OAI_ALPHA * clamped));
  });
}
