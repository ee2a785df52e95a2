import { decodeElements, encodeElements } from "@quern/tensor";
import type { InputQuantization } from "../input-quantization.ts";
import { copyNumbers, type Evaluation } from "./evaluation.ts";

/** The codes of a type: the largest that a scale is chosen for, and rounding in place of what has been divided by it. */
interface Codes {
  readonly largest: number;
  round(values: Float32Array): void;
}

/** Adding and taking away this rounds doubles of less than 2^51 to whole numbers, halves to even ones. */
const WHOLE = 1.5 * 2 ** 52;

const CODES: Readonly<Record<InputQuantization["type"], Codes>> = {
  I8: {
    largest: 127,
    round(values) {
      for (let index = 0; index < values.length; index++) {
        const code = values[index]! + WHOLE - WHOLE;
        values[index] = Math.min(127, Math.max(-128, code));
      }
    },
  },
  F8_E4M3: {
    largest: 448,
    round(values) {
      const bytes = encodeElements({ type: "F8_E4M3", values, saturate: true });
      decodeElements({ type: "F8_E4M3", bytes, into: values });
    },
  },
};

/**
 * The inputs of a linear layer as a runtime has them: divided by a scale, rounded to codes, multiplied by it. Scales that are not stored are
 * chosen so that the largest magnitude of a group gets the largest code (vLLM, csrc: `scaled_int8_quant` and `scaled_fp8_quant`).
 *
 * @param params.input Rows of `columns`; it is left as it is.
 * @param params.matrix Of a stacked layer: which one.
 * @returns the input itself where nothing is quantized
 */
export function quantizeInputs(
  evaluation: Pick<Evaluation, "workspace">,
  quantization: InputQuantization | undefined,
  params: { readonly input: Float32Array; readonly columns: number; readonly matrix?: number },
): Float32Array {
  const { input, columns, matrix = 0 } = params;
  if (quantization === undefined) return input;
  const { type, groupSize = columns, scales } = quantization;
  const { largest, round } = CODES[type];
  const stored = scales?.[matrix] ?? scales?.[0];
  const result = copyNumbers(evaluation, input);
  for (let row = 0; row < input.length; row += columns) {
    for (let column = 0; column < columns; column += groupSize) {
      const group = result.subarray(row + column, row + Math.min(column + groupSize, columns));
      const scale = stored ?? Math.fround(magnitude(group) / largest);
      if (scale === 0) continue;
      for (let index = 0; index < group.length; index++) group[index]! /= scale;
      round(group);
      for (let index = 0; index < group.length; index++) group[index]! *= scale;
    }
  }
  return result;
}

function magnitude(values: Float32Array): number {
  let largest = 0;
  for (let index = 0; index < values.length; index++) largest = Math.max(largest, Math.abs(values[index]!));
  return largest;
}
