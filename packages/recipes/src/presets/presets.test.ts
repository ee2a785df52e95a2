import { describe, expect, it } from "vitest";
import { checkRecipe } from "../check-recipe.ts";
import { CONTAINERS } from "../containers.ts";
import { describeRecipe } from "../describe-recipe.ts";
import { PRESETS, presetNamed } from "./registry.ts";

describe.each(PRESETS.map((preset) => [preset.name, preset] as const))("%s", (_name, preset) => {
  it("makes sense, and something loads it", () => {
    checkRecipe(preset);
    const { description, bitsPerWeight, loaders, container } = describeRecipe(preset);
    expect(description).toMatch(/^\S.{10,100}[^.]$/);
    expect(loaders).not.toEqual([]);
    expect(CONTAINERS.map(({ name }) => name)).toContain(container);
    expect(bitsPerWeight).toBeGreaterThanOrEqual(preset.parameters.bits);
    expect(bitsPerWeight).toBeLessThan(preset.parameters.bits + 0.7);
  });
});

it("have names of their own", () => {
  expect(new Set(PRESETS.map(({ name }) => name)).size).toBe(PRESETS.length);
  expect(() => presetNamed("w5a16")).toThrow(expect.objectContaining({ code: "RECIPE_UNKNOWN" }));
});

it.each([
  // 4 bits, a scale of 16 bits and a zero of 4 for 128 weights, 32 bits for each input.
  ["gptq-w4-g128", 4 + 20 / 128 + 32 / 4096],
  ["awq-w4-g128", 4 + 20 / 128],
  ["bnb-nf4", 4 + 32 / 64],
  ["nvfp4", 4 + 8 / 16],
  ["mxfp4", 4 + 8 / 32],
  ["mlx-q4", 4 + 32 / 64],
])("counts all that %s stores", (name, bits) => {
  expect(describeRecipe(presetNamed(name)).bitsPerWeight).toBeCloseTo(bits, 3);
});
