import { formatBytes } from "../format/bytes.ts";
import { formatInteger, formatParameters } from "../format/number.ts";

/** What people see progress in. */
export interface Measure {
  /** All of the work. */
  readonly total: number;
  /** A number as it stands in front of the unit. */
  readonly format: (amount: number) => string;
  /** With a space in front, where the numbers do not have it already. */
  readonly unit: string;
}

/** Bytes that are read: "1.20 GB of 16.1 GB", "310 MB/s". */
export function measuredInBytes(total: number): Measure {
  return { total, format: (amount) => formatBytes(Math.round(amount)), unit: "" };
}

/** Tokens that a model is run on: "1,024 of 32,768 tokens", "310 tokens/s". */
export function measuredInTokens(total: number): Measure {
  return { total, format: (amount) => formatInteger(Math.round(amount)), unit: " tokens" };
}

/** Weights that are quantized or copied: "1.20B of 8.03B weights", "31.0M weights/s". */
export function measuredInWeights(total: number): Measure {
  return { total, format: (amount) => formatParameters(Math.round(amount)), unit: " weights" };
}

/** Tensors: "3 of 8 tensors", "2 tensors/s". */
export function measuredInTensors(total: number): Measure {
  return { total, format: (amount) => formatInteger(Math.round(amount)), unit: " tensors" };
}
