import type { QuantizationRecipe, RecipeParameters } from "../recipe.ts";
import { GPTQ, HQQ, LEAST_ERROR } from "./members.ts";

/** Groups and bits that MLX has kernels for; 64 is its default. */
function groups(bits: number): RecipeParameters {
  return { bits, groupSize: 64, symmetric: false };
}

function plain(bits: number): QuantizationRecipe {
  return {
    name: `mlx-q${bits}`,
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
  ...[2, 3, 4, 6, 8].map(plain),
  ...[2, 3, 4].map(compensated),
];
