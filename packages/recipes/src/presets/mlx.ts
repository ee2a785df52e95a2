import type { QuantizationRecipe, RecipeParameters } from "../recipe.ts";
import { GPTQ, HQQ, LEAST_ERROR, NEAREST } from "./members.ts";

/** Groups and bits that MLX has kernels for; 64 is its default. What does not divide into them stays as it is (mlx-lm, utils.py). */
function groups(bits: number): RecipeParameters {
  return { bits, groupSize: 64, symmetric: false };
}

/** Offsets that are moved into the middle of searched ranges were best at few bits; where there are enough, all of it is near the same. */
const SEARCHED_BITS = 4;

function plain(bits: number): QuantizationRecipe {
  const searched = bits <= SEARCHED_BITS;
  return {
    name: `mlx-q${bits}`,
    description: `${searched ? "HQQ in searched ranges" : "Nearest"}, ${bits} bits in groups of 64, the output layer too`,
    format: "mlx",
    parameters: groups(bits),
    unfit: "keep",
    ...(searched ? { rounding: HQQ, calibrator: LEAST_ERROR } : { rounding: NEAREST }),
    rules: [{ roles: ["output"] }],
  };
}

function compensated(bits: number): QuantizationRecipe {
  return {
    name: `mlx-q${bits}-gptq`,
    description: `GPTQ, ${bits} bits in groups of 64`,
    format: "mlx",
    parameters: groups(bits),
    unfit: "keep",
    rounding: GPTQ,
    calibrator: LEAST_ERROR,
  };
}

export const mlxPresets: readonly QuantizationRecipe[] = [
  ...[2, 3, 4, 6, 8].map(plain),
  ...[2, 3, 4].map(compensated),
];
