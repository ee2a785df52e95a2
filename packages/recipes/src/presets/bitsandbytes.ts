import type { QuantizationRecipe } from "../recipe.ts";
import { GPTQ, NEAREST } from "./members.ts";

/** The same bytes as bitsandbytes, but for the last one, which it cannot make. */
export const bitsandbytesPresets: readonly QuantizationRecipe[] = [
  {
    name: "bnb-nf4",
    description: "NormalFloat in blocks of 64, as bitsandbytes",
    format: "bnb-nf4",
    parameters: { bits: 4, groupSize: 64, scaleType: "F32" },
    rounding: NEAREST,
  },
  {
    name: "bnb-nf4-dq",
    description: "NormalFloat in blocks of 64, scales quantized too, as bitsandbytes (QLoRA)",
    format: "bnb-nf4",
    parameters: { bits: 4, groupSize: 64, scaleType: "F32", doubleQuantized: true },
    rounding: NEAREST,
  },
  {
    name: "bnb-fp4",
    description: "4-bit floats in blocks of 64, as bitsandbytes",
    format: "bnb-fp4",
    parameters: { bits: 4, groupSize: 64, scaleType: "F32" },
    rounding: NEAREST,
  },
  {
    name: "bnb-int8",
    description: "LLM.int8(), as bitsandbytes",
    format: "bnb-int8",
    parameters: { bits: 8, groupSize: "channel", scaleType: "F32" },
    rounding: NEAREST,
  },
  {
    name: "bnb-nf4-gptq",
    description: "NormalFloat in blocks of 64, rounded by GPTQ",
    format: "bnb-nf4",
    parameters: { bits: 4, groupSize: 64, scaleType: "F32" },
    rounding: GPTQ,
  },
];
