import type { ConversionPlan } from "../plan.ts";
import type { TensorOutcome } from "./tensor-converter.ts";
import type { TensorPart } from "./tensor-places.ts";

/** Somebody else who converts tensors of a plan into its partial files, which are there and have their headers: other machines. */
export interface ConversionDelegate {
  /**
   * @param params.work What is to be converted: tensors, each for some outputs.
   * @param params.signal Ends the work with its reason.
   * @param params.onStart A tensor is being worked on.
   * @param params.onDone A tensor is complete in the files of these outputs, and stays.
   * @returns the kernels that ran: "native avx512"
   */
  run(params: {
    readonly plan: ConversionPlan;
    readonly work: readonly TensorPart[];
    readonly signal: AbortSignal;
    readonly onStart: (tensor: number) => void;
    readonly onDone: (outcome: TensorOutcome) => Promise<void>;
  }): Promise<{ readonly kernels: string }>;
}
