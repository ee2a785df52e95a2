import { CALIBRATORS, ROUNDINGS, TRANSFORMS } from "@quern/quantize";
import { QuernError } from "@quern/tensor";
import { describe, expect, it } from "vitest";
import { PRESETS, presetNamed } from "../presets/registry.ts";
import { CALIBRATOR_OPTIONS, ROUNDING_OPTIONS, TRANSFORM_OPTIONS } from "./member-options.ts";
import { parseRecipe } from "./parse-recipe.ts";
import { recipeText } from "./recipe-text.ts";
import { recipeSchema } from "./schema.ts";

function parse(text: string): ReturnType<typeof parseRecipe> {
  return parseRecipe({ text, file: "recipes/mine.yaml" });
}

function problemIn(text: string): QuernError {
  try {
    parse(text);
  } catch (error) {
    if (error instanceof QuernError) return error;
    throw error;
  }
  throw new Error("expected a refusal");
}

describe("recipe files", () => {
  it.each(PRESETS.map((preset) => [preset.name, preset] as const))(
    "can say what %s says",
    (_name, preset) => {
      expect(parse(recipeText(preset))).toEqual(preset);
    },
  );

  it("know every member that a recipe can name", () => {
    expect(Object.keys(ROUNDING_OPTIONS).sort()).toEqual(Object.keys(ROUNDINGS).sort());
    expect(Object.keys(CALIBRATOR_OPTIONS).sort()).toEqual(Object.keys(CALIBRATORS).sort());
    expect(Object.keys(TRANSFORM_OPTIONS).sort()).toEqual(Object.keys(TRANSFORMS).sort());
  });

  it("extend a preset: parameters one by one, own rules first", () => {
    const recipe = parse(`
extends: mlx-q4
parameters:
  groupSize: 32
rounding: nearest
rules:
  - modules: down_proj$
    parameters: { bits: 6 }
`);
    const base = presetNamed("mlx-q4");
    expect(recipe).toEqual({
      ...base,
      name: "mine",
      description: "mlx-q4, changed",
      parameters: { ...base.parameters, groupSize: 32 },
      rounding: { name: "nearest" },
      rules: [{ modules: "down_proj$", parameters: { bits: 6 } }, ...base.rules!],
    });
  });

  it("may choose the stored scales of inputs, and rotate", () => {
    const activations = { calibrator: { name: "percentile", options: { share: 0.999 } } };
    const text = JSON.stringify({ extends: "w8a8-static", activations });
    expect(parse(text)).toMatchObject({ activations });
    expect(problemIn(JSON.stringify({ extends: "w8a8", activations })).message).toContain("not static");
    const rotated = parse(
      '{"extends": "nvfp4", "transforms": [{"name": "hadamard", "options": {"r2": false, "seed": 3}}]}',
    );
    expect(rotated.transforms).toEqual([{ name: "hadamard", options: { r2: false, seed: 3 } }]);
  });

  it("may be JSON", () => {
    expect(parse('{"extends": "bnb-nf4", "name": "other"}')).toMatchObject({
      name: "other",
      format: "bnb-nf4",
    });
  });

  it.each([
    [
      "a key that there is not",
      "extends: gptq-w4-g128\nparameters:\n  bit: 3\n",
      "line 3, parameters.bit: there",
    ],
    [
      "an option that there is not",
      "extends: gptq-w4-g128\n\nrounding:\n  name: gptq\n  options:\n    pases: 2\n",
      "line 6, rounding.options.pases: there",
    ],
    [
      "an option out of its range",
      "extends: gptq-w4-g128\nrounding: { name: hqq, options: { norm: 2 } }\n",
      "line 2, rounding.options.norm: ",
    ],
    ["a rounding that there is not", "extends: bnb-nf4\nrounding: best\n", "line 2, rounding: "],
    ["a preset that there is not", "extends: gptq-w5\n", 'line 1, extends: there is no recipe "gptq-w5"'],
    [
      "a rule that keeps and changes",
      "extends: w4a16\nrules:\n  - modules: o_proj\n    keep: true\n    parameters: { bits: 8 }\n",
      "line 4, rules[0].keep: layers that are kept",
    ],
    [
      "text in the place of a number",
      "extends: w4a16\nparameters:\n  groupSize: all\n",
      "line 3, parameters.groupSize: ",
    ],
    ["a number in the place of a choice", "extends: w4a16\nguard: 1\n", "line 2, guard: "],
    ["another choice than there are", "extends: w4a16\nunfit: skip\n", "line 2, unfit: "],
    ["no YAML", "extends: [w4a16\n", "line 2: "],
    ["two values for a key", "extends: w4a16\nextends: w8a16\n", "line 2: Map keys must be unique"],
    ["a list", "- extends: w4a16\n", "line 1: "],
    ["nothing", "", "line 1: "],
    [
      "too little",
      "name: mine\nformat: gptq\nparameters: { bits: 4 }\n",
      "parameters.groupSize: it is missing",
    ],
  ])("are refused for %s", (_what, text, expected) => {
    const { code, message, subject } = problemIn(text);
    expect(code).toBe("RECIPE_FILE_INVALID");
    expect(message).toContain("recipes/mine.yaml: ");
    expect(message).toContain(expected);
    expect(subject.file).toBe("recipes/mine.yaml");
  });

  it("name all that is wrong, in the order of the file", () => {
    const { message } = problemIn("extends: w4a16\nparameters:\n  bits: 40\nrounding: best\nformt: gptq\n");
    expect(message).toMatch(/line 3, parameters\.bits: .*; line 4, rounding: .*; line 5, formt: /);
  });

  it.each([
    ["a format without place for the bits", "extends: awq-w4-g128\nparameters: { bits: 3 }\n", "awq: bits 3"],
    ["a rule that asks for such", "extends: w4a16\nrules: [{ parameters: { bits: 1 } }]\n", "rules[0]"],
    [
      "one scale for each output where the format has none",
      "extends: mlx-q4\nunfit: channel\n",
      "unfit: mlx has no layers with one scale",
    ],
    ["members that do not go together", "extends: bnb-nf4\nrounding: hqq\n", "HQQ moves the zero points"],
    [
      "a pattern that is none",
      'extends: w4a16\nrules: [{ modules: "(", keep: true }]\n',
      "regular expression",
    ],
    [
      "options against each other",
      "extends: w4a16\nrounding: { name: gptq, options: { order: descending, tiles: dynamic } }\n",
      "tiles",
    ],
  ])("are refused for %s", (_what, text, expected) => {
    const { code, message, subject } = problemIn(text);
    expect(code).toBe("RECIPE_INVALID");
    expect(message).toContain(expected);
    expect(subject.file).toBe("recipes/mine.yaml");
  });

  it("do not grow by aliases", () => {
    const levels = Array.from(
      { length: 12 },
      (_, i) => `a${i + 1}: &a${i + 1} [${Array(10).fill(`*a${i}`).join(", ")}]`,
    );
    expect(() => parse(`a0: &a0 x\n${levels.join("\n")}\n`)).toThrow(
      expect.objectContaining({ code: "RECIPE_FILE_INVALID" }),
    );
  });

  it("have a JSON schema", () => {
    const schema = recipeSchema() as { properties: Record<string, object>; additionalProperties: boolean };
    expect(schema.additionalProperties).toBe(false);
    expect(Object.keys(schema.properties)).toEqual(expect.arrayContaining(["extends", "rounding", "rules"]));
    expect(schema.properties["extends"]).toMatchObject({
      enum: expect.arrayContaining(["gptq-w4-g128"]) as unknown,
    });
    expect(JSON.stringify(schema.properties["rounding"])).toContain("descending-tiles");
  });
});
