import { expect, it } from "vitest";
import { closest } from "./suggestion.ts";

const types = ["F32", "Q4_K_M", "Q4_K_S", "Q8_0", "IQ2_XXS"];

it.each([
  ["Q4_KM", "Q4_K_M"],
  ["q4-k-m", "Q4_K_M"],
  ["Q8", "Q8_0"],
  ["iq2xxs", "IQ2_XXS"],
  ["fp32", "F32"],
])("takes %s for %s", (word, meant) => {
  expect(closest(word, types)).toBe(meant);
});

it("takes the beginning of a name for that name", () => {
  expect(closest("rtn-w8", ["rtn-w4-g128", "rtn-w8-g128"])).toBe("rtn-w8-g128");
});

it("does not guess when nothing is near", () => {
  expect(closest("gptq-w4-g128", types)).toBeUndefined();
});
