import type { QuantizationRecipe } from "../recipe.ts";
import { GPTQ, LEAST_ERROR, NEAREST } from "./members.ts";

/** A search for how much of the range of inputs goes to the weights; published models have 0.5 to 0.9 (SmoothQuant's repository). */
const SMOOTH = { name: "smooth-quant", options: { alpha: [0.5, 0.6, 0.7, 0.8, 0.9] } } as const;

export const compressedTensorsPresets: readonly QuantizationRecipe[] = [
  {
    name: "w4a16",
    description: "GPTQ, 4 bits in groups of 128, symmetric",
    format: "pack-quantized",
    parameters: { bits: 4, groupSize: 128 },
    rounding: GPTQ,
    calibrator: LEAST_ERROR,
  },
  {
    name: "w4a16-asym",
    description: "GPTQ, 4 bits in groups of 128, asymmetric",
    format: "pack-quantized",
    parameters: { bits: 4, groupSize: 128, symmetric: false },
    rounding: GPTQ,
    calibrator: LEAST_ERROR,
  },
  {
    name: "w4a16-rtn",
    description: "Nearest with searched ranges, 4 bits in groups of 128, symmetric",
    format: "pack-quantized",
    parameters: { bits: 4, groupSize: 128 },
    rounding: NEAREST,
    calibrator: LEAST_ERROR,
  },
  {
    name: "w8a16",
    description: "Nearest, 8 bits in groups of 128, symmetric",
    format: "pack-quantized",
    parameters: { bits: 8, groupSize: 128 },
    rounding: NEAREST,
  },
  {
    name: "w8a8",
    description: "8-bit weights by output and 8-bit inputs by token, nothing smoothed",
    format: "int-quantized",
    parameters: { bits: 8, groupSize: "channel", activations: "dynamic" },
    rounding: NEAREST,
  },
  {
    name: "w8a8-smoothquant",
    description: "SmoothQuant and GPTQ, 8-bit weights by output and 8-bit inputs by token",
    format: "int-quantized",
    parameters: { bits: 8, groupSize: "channel", activations: "dynamic" },
    transforms: [SMOOTH],
    rounding: GPTQ,
    calibrator: LEAST_ERROR,
  },
  {
    name: "w8a8-static",
    description: "SmoothQuant and GPTQ, 8-bit weights by output and 8-bit inputs with a scale that is stored",
    format: "int-quantized",
    parameters: { bits: 8, groupSize: "channel", activations: "static" },
    transforms: [SMOOTH],
    rounding: GPTQ,
    calibrator: LEAST_ERROR,
  },
];
