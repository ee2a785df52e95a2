import type { QuantizationRecipe } from "../recipe.ts";
import { GPTQ, LEAST_ERROR, NEAREST } from "./members.ts";

export const floatPresets: readonly QuantizationRecipe[] = [
  {
    name: "fp8",
    description: "8-bit floats by output, inputs by token",
    format: "float-quantized",
    parameters: { bits: 8, groupSize: "channel", activations: "dynamic" },
    rounding: NEAREST,
  },
  {
    name: "fp8-static",
    description: "8-bit floats by output, inputs with a scale that is stored",
    format: "float-quantized",
    parameters: { bits: 8, groupSize: "channel", activations: "static" },
    rounding: NEAREST,
  },
  {
    name: "fp8-block",
    description: "8-bit floats in blocks of 128 x 128, as DeepSeek has them",
    format: "fp8",
    parameters: { bits: 8, groupSize: "block", scaleType: "F32" },
    rounding: NEAREST,
  },
  {
    name: "nvfp4",
    description: "NVFP4 in groups of 16 with searched scales, 16-bit inputs",
    format: "nvfp4-pack-quantized",
    parameters: { bits: 4, groupSize: 16, scaleType: "F8_E4M3" },
    rounding: NEAREST,
    calibrator: LEAST_ERROR,
  },
  {
    name: "nvfp4-gptq",
    description: "NVFP4 in groups of 16, rounded by GPTQ, 16-bit inputs",
    format: "nvfp4-pack-quantized",
    parameters: { bits: 4, groupSize: 16, scaleType: "F8_E4M3" },
    rounding: GPTQ,
    calibrator: LEAST_ERROR,
  },
  {
    name: "mxfp4",
    description: "MXFP4 in groups of 32 with searched scales, 16-bit inputs",
    format: "mxfp4-pack-quantized",
    parameters: { bits: 4, groupSize: 32, scaleType: "F8_E8M0" },
    rounding: NEAREST,
    calibrator: LEAST_ERROR,
  },
  {
    name: "mxfp4-gptq",
    description: "MXFP4 in groups of 32, rounded by GPTQ, 16-bit inputs",
    format: "mxfp4-pack-quantized",
    parameters: { bits: 4, groupSize: 32, scaleType: "F8_E8M0" },
    // Where the next scale is twice as large, searching them together with codes loses less (figures in the README of the repository).
    rounding: { ...GPTQ, options: { ...GPTQ.options, searchScales: true } },
    calibrator: LEAST_ERROR,
  },
];
