import type { MathKernels } from "@quern/kernels";
import type { Matrix } from "../matrix.ts";
import { outputErrorOn } from "./output-error.ts";

export interface HoldOutGuardParams<R extends { readonly values: Float32Array }> {
  readonly matrix: Matrix;
  /** What an algorithm has made of the calibration inputs. */
  readonly candidate: R;
  /** What is kept unless the candidate is better; plain rounding. */
  readonly baseline: R;
  /** Inputs that calibration has not seen: rows of the matrix's columns. */
  readonly inputs: Float32Array;
  readonly math: MathKernels;
}

export interface HoldOutVerdict<R> {
  readonly kept: R;
  readonly keptCandidate: boolean;
  /** Relative output errors on the held-out inputs. */
  readonly candidateError: number;
  readonly baselineError: number;
}

/** Keeps a rounding only where it beats the plain one on inputs that it was not made for. */
export function holdOutGuard<R extends { readonly values: Float32Array }>(
  params: HoldOutGuardParams<R>,
): HoldOutVerdict<R> {
  const { matrix, candidate, baseline, inputs, math } = params;
  const errorOf = ({ values }: R): number => outputErrorOn({ matrix, values, inputs, math }).relative;
  const candidateError = errorOf(candidate);
  const baselineError = errorOf(baseline);
  const keptCandidate = candidateError < baselineError;
  return { kept: keptCandidate ? candidate : baseline, keptCandidate, candidateError, baselineError };
}
