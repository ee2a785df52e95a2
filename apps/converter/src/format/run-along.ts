import type { SequentialPlan } from "@quern/calibration";
import { formatBytes } from "./bytes.ts";
import { formatEstimate } from "./duration.ts";
import { formatInteger } from "./number.ts";

/** A model that runs while it is quantized. "32,768 tokens, which takes about 12 s and 310 MB for buffers more" */
export function describeRun({ tokens, estimate, memory }: SequentialPlan): string {
  return `${formatInteger(tokens)} tokens, which takes ${formatEstimate(estimate.seconds)} and ${formatBytes(memory.used)} for buffers more`;
}
