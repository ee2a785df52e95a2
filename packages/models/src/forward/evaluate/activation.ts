import type { Activation } from "../record.ts";
import { type Evaluation, takeNumbers } from "./evaluation.ts";

/** Constants of gpt-oss (transformers, `GptOssExperts`). */
const OAI_ALPHA = 1.702;
const OAI_LIMIT = 7;

/** Whether a gated network computes f(gate) * up: a multiple of `up` gives the same multiple of the result. */
export function isLinearInUp(activation: Activation): boolean {
  return activation !== "swiglu-oai";
}

/** f(x), or f(gate) * up; the result may be in the memory of `x`. */
export function applyActivation(
  evaluation: Pick<Evaluation, "kernels" | "workspace">,
  activation: Activation,
  { x, up }: { readonly x: Float32Array; readonly up?: Float32Array },
): Float32Array {
  if (activation === "swiglu-oai") return clampedSwiglu(evaluation, x, up ?? x);
  evaluation.kernels.math.activate({ kind: activation, x, y: x, ...(up !== undefined && { up }) });
  return x;
}

/** (up + 1) * gate * sigmoid(1.702 gate), with both clamped at 7. */
function clampedSwiglu(
  evaluation: Pick<Evaluation, "workspace">,
  gate: Float32Array,
  up: Float32Array,
): Float32Array {
  const result = takeNumbers(evaluation, gate.length);
  for (let index = 0; index < gate.length; index++) {
    const clamped = Math.min(gate[index]!, OAI_LIMIT);
    const factor = Math.max(-OAI_LIMIT, Math.min(up[index]!, OAI_LIMIT)) + 1;
    result[index] = (factor * clamped) / (1 + Math.exp(-OAI_ALPHA * clamped));
  }
  return result;
}
