import type { QuantizationRecipe, RecipeParameters } from "../recipe.ts";
import { GPTQ, HQQ, LEAST_ERROR, LEAST_PLAIN_ERROR, NEAREST } from "./members.ts";

/** Groups and bits that MLX has kernels for; 64 is its default. */
function groups(bits: number): RecipeParameters {
  return { bits, groupSize: 64, symmetric: false };
}

/** Where there are enough bits, no range is better than the whole one. */
const SEARCHED_BITS = 4;

function nearest(bits: number): QuantizationRecipe {
  const searched = bits <= SEARCHED_BITS;
  return {
    name: `mlx-q${bits}`,
    description: `Nearest${searched ? " with searched ranges" : ""}, ${bits} bits in groups of 64, the output layer too`,
    format: "mlx",
    parameters: groups(bits),
    rounding: NEAREST,
    ...(searched ? { calibrator: LEAST_PLAIN_ERROR } : {}),
    rules: [{ roles: ["output"] }],
  };
}

function hqq(bits: number): QuantizationRecipe {
  return {
    name: `mlx-q${bits}-hqq`,
    description: `HQQ, ${bits} bits in groups of 64, the output layer too`,
    format: "mlx",
    parameters: groups(bits),
    rounding: HQQ,
    rules: [{ roles: ["output"] }],
  };
}

function compensated(bits: number): QuantizationRecipe {
  return {
    name: `mlx-q${bits}-gptq`,
    description: `GPTQ, ${bits} bits in groups of 64`,
    format: "mlx",
    parameters: groups(bits),
    rounding: GPTQ,
    calibrator: LEAST_ERROR,
  };
}

export const mlxPresets: readonly QuantizationRecipe[] = [
  ...[2, 3, 4, 6, 8].map(nearest),
  ...[3, 4].map(hqq),
  ...[2, 3, 4].map(compensated),
];
