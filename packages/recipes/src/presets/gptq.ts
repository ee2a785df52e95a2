import type { QuantizationRecipe } from "../recipe.ts";
import { GPTQ, LEAST_ERROR, NEAREST } from "./members.ts";

const SCALES = { scaleType: "F16" } as const;

/** Symmetric ones are stored in version 1, which everything reads; others in version 2, whose zeros are stored as they are. */
export const gptqPresets: readonly QuantizationRecipe[] = [
  {
    name: "gptq-w4-g128",
    description: "GPTQ, 4 bits in groups of 128, symmetric",
    format: "gptq",
    parameters: { bits: 4, groupSize: 128, ...SCALES },
    rounding: GPTQ,
    calibrator: LEAST_ERROR,
  },
  {
    name: "gptq-w4-g32",
    description: "GPTQ, 4 bits in groups of 32, symmetric: better and larger",
    format: "gptq",
    parameters: { bits: 4, groupSize: 32, ...SCALES },
    rounding: GPTQ,
    calibrator: LEAST_ERROR,
  },
  {
    name: "gptq-w8-g128",
    description: "GPTQ, 8 bits in groups of 128, symmetric",
    format: "gptq",
    parameters: { bits: 8, groupSize: 128, ...SCALES },
    rounding: GPTQ,
    calibrator: LEAST_ERROR,
  },
  {
    name: "gptq-w3-g128",
    description: "GPTQ, 3 bits in groups of 128, asymmetric",
    format: "gptq-v2",
    parameters: { bits: 3, groupSize: 128, symmetric: false, ...SCALES },
    rounding: GPTQ,
    calibrator: LEAST_ERROR,
  },
  {
    name: "gptq-w2-g64",
    description: "GPTQ, 2 bits in groups of 64, asymmetric",
    format: "gptq-v2",
    parameters: { bits: 2, groupSize: 64, symmetric: false, ...SCALES },
    rounding: GPTQ,
    calibrator: LEAST_ERROR,
  },
  {
    name: "rtn-w4-g128",
    description: "Nearest with searched ranges, 4 bits in groups of 128, symmetric",
    format: "gptq",
    parameters: { bits: 4, groupSize: 128, ...SCALES },
    rounding: NEAREST,
    calibrator: LEAST_ERROR,
  },
  {
    name: "rtn-w8-g128",
    description: "Nearest, 8 bits in groups of 128, symmetric",
    format: "gptq",
    parameters: { bits: 8, groupSize: 128, ...SCALES },
    rounding: NEAREST,
  },
  {
    name: "rtn-w3-g64",
    description: "Nearest with searched ranges, 3 bits in groups of 64, asymmetric",
    format: "gptq-v2",
    parameters: { bits: 3, groupSize: 64, symmetric: false, ...SCALES },
    rounding: NEAREST,
    calibrator: LEAST_ERROR,
  },
];
