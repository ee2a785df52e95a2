import type { QuantizationRecipe } from "../recipe.ts";
import { GPTQ, LEAST_ERROR, NEAREST } from "./members.ts";

export const awqPresets: readonly QuantizationRecipe[] = [
  {
    name: "awq-w4-g128",
    description: "AWQ: scaled inputs, clipped ranges, 4 bits in groups of 128, asymmetric",
    format: "awq",
    parameters: { bits: 4, groupSize: 128, symmetric: false, scaleType: "F16" },
    transforms: [{ name: "awq" }],
    rounding: NEAREST,
    calibrator: LEAST_ERROR,
    searchInHessian: true,
  },
  {
    name: "awq-w4-g128-gptq",
    description: "GPTQ rounding in AWQ's container, 4 bits in groups of 128, asymmetric",
    format: "awq",
    parameters: { bits: 4, groupSize: 128, symmetric: false, scaleType: "F16" },
    rounding: GPTQ,
    calibrator: LEAST_ERROR,
  },
  {
    name: "awq-w4-g128-rtn",
    description: "Nearest with searched ranges in AWQ's container, 4 bits in groups of 128, asymmetric",
    format: "awq",
    parameters: { bits: 4, groupSize: 128, symmetric: false, scaleType: "F16" },
    rounding: NEAREST,
    calibrator: LEAST_ERROR,
  },
];
