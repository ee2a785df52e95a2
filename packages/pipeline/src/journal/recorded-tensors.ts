import type { TensorError } from "../errors.ts";
import type { ConversionPlan } from "../plan.ts";
import type { ConversionState } from "./conversion-journal.ts";

/** A tensor that an earlier run has finished in an output, as far as its journal says. */
export interface RecordedTensor {
  readonly output: number;
  /** Its name in the model. */
  readonly tensor: string;
  readonly crc32: string;
  /** What became of it there, where that was measured. */
  readonly error?: TensorError;
}

/**
 * Tensors in files that are as the earlier run has left them; what was noted last counts.
 *
 * @param params.isKept Whether a file of an output is such.
 */
export function recordedTensors(params: {
  readonly plan: Pick<ConversionPlan, "outputs" | "identity">;
  readonly state: ConversionState;
  readonly isKept: (output: number, file: number) => boolean;
}): RecordedTensor[] {
  const { plan, state, isKept } = params;
  const planned = plan.outputs.map(
    ({ tensors }) => new Map(tensors.map((tensor) => [tensor.source, tensor])),
  );
  const recorded = new Map<string, RecordedTensor>();
  for (const { tensor, outputs, crc32, errors = [] } of state.tensors) {
    for (const output of outputs) {
      const place = planned[output]?.get(tensor);
      if (place === undefined || !isKept(output, place.file)) continue;
      // Of outputs that were complete, all is known.
      const mayKeep = place.rounding === undefined || canKeepRounded(plan) || state.finishing.has(output);
      if (!mayKeep) continue;
      const error = errors.find((one) => one.output === output);
      recorded.set(`${output} ${tensor}`, { output, tensor, crc32, ...(error && { error }) });
    }
  }
  return [...recorded.values()];
}

/** Inputs that nothing is known of may be others. */
export function canKeepRounded({ identity }: Pick<ConversionPlan, "identity">): boolean {
  return identity.rounding?.inputs !== undefined;
}
