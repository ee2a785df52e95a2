import { FORMATS } from "@quern/checkpoints";
import type { MemberSpec } from "@quern/quantize";
import { z } from "zod";
import { PRESETS } from "../presets/registry.ts";
import type { QuantizationRecipe, RecipeParameters, Rule } from "../recipe.ts";
import {
  CALIBRATOR_OPTIONS,
  type OptionsByName,
  ROUNDING_OPTIONS,
  TRANSFORM_OPTIONS,
} from "./member-options.ts";

/** What a file says, before it is put together with the preset that it extends. */
export interface RecipeFile extends Partial<Omit<QuantizationRecipe, "parameters">> {
  readonly extends?: string;
  readonly parameters?: Partial<RecipeParameters>;
}

/** A name, or an object with the name and options. */
function member(optionsByName: OptionsByName): z.ZodType<MemberSpec> {
  const names = Object.keys(optionsByName) as [string, ...string[]];
  const [first, ...others] = Object.entries(optionsByName).map(([name, options]) =>
    z.strictObject({ name: z.literal(name), options: z.strictObject(options).optional() }),
  );
  return z.union([
    z.enum(names).transform((name): MemberSpec => ({ name })),
    z.discriminatedUnion("name", [first!, ...others]),
  ]) as z.ZodType<MemberSpec>;
}

const parameters = z.strictObject({
  bits: z.int().min(1).max(8).describe("bits of a code"),
  groupSize: z
    .union([z.int().min(1), z.enum(["channel", "tensor", "block"])])
    .describe("inputs that share a scale; all of an output, all of the layer, or squares of 128 x 128"),
  symmetric: z.boolean().optional().describe("as many codes above 0 as below (default: true)"),
  scaleType: z
    .enum(["weights", "F32", "F16", "BF16", "F8_E4M3", "F8_E8M0"])
    .optional()
    .describe("element type of scales (default: weights, which is that of the weights)"),
  doubleQuantized: z.boolean().optional().describe("quantize scales, too (bitsandbytes)"),
  activations: z
    .enum(["dynamic", "static"])
    .optional()
    .describe("how inputs are quantized when the model runs (default: not at all)"),
});

/** What a recipe and a rule may both say. */
const layer = {
  format: z
    .enum(FORMATS.filter(({ pack }) => pack !== undefined).map(({ name }) => name) as [string, ...string[]])
    .optional()
    .describe("how quantized layers are stored"),
  parameters: parameters.partial().optional(),
  rounding: member(ROUNDING_OPTIONS).optional().describe("which of the values of a grid weights become"),
  calibrator: member(CALIBRATOR_OPTIONS).optional().describe("which range the codes of a group span"),
  searchInHessian: z.boolean().optional().describe("search ranges by the error of outputs"),
  guard: z
    .boolean()
    .optional()
    .describe("keep the result only where it beats rounding to nearest on held-out inputs"),
  activations: z
    .strictObject({ calibrator: member(CALIBRATOR_OPTIONS) })
    .optional()
    .describe("which range the stored scales of inputs span (default: that of all inputs)"),
  correctBias: z.boolean().optional().describe("make outputs right on average, where layers have a bias"),
  unfit: z
    .enum(["refuse", "keep", "channel"])
    .optional()
    .describe(
      "layers that the format cannot hold for their size: refuse the plan, keep them as they are, or one scale for each output (default: refuse)",
    ),
};

const rule = z
  .strictObject({
    modules: z.string().optional().describe("regular expression, searched for in the names of modules"),
    roles: z
      .array(z.string())
      .min(1)
      .optional()
      .describe("what layers do: q, k, v, o, gate, up, down, output"),
    keep: z.boolean().optional().describe("leave layers as they are"),
    ...layer,
  })
  .check(({ value, issues }) => {
    const { keep, modules: _modules, roles: _roles, ...changes } = value;
    if (keep !== true || Object.keys(changes).length === 0) return;
    const input = value;
    issues.push({
      code: "custom",
      input,
      path: ["keep"],
      message: "layers that are kept cannot be quantized otherwise",
    });
  });

/** Recipe files. */
export const RECIPE_FILE: z.ZodType<RecipeFile> = z.strictObject({
  name: z.string().min(1).max(100).optional().describe("default: the name of the file"),
  description: z.string().optional().describe("one line"),
  extends: z
    .enum(PRESETS.map(({ name }) => name) as [string, ...string[]], {
      error: ({ input }) => `there is no recipe ${JSON.stringify(input)}`,
    })
    .optional()
    .describe("recipe that gives everything that is not said here"),
  ...layer,
  transforms: z
    .array(member(TRANSFORM_OPTIONS))
    .optional()
    .describe("how weights are rewritten before they are rounded"),
  rules: z
    .array(rule)
    .optional()
    .describe("what is different for some layers; the first that matches decides"),
}) as z.ZodType<RecipeFile> satisfies z.ZodType<{ readonly rules?: readonly Rule[] }>;

/** JSON schema of recipe files, for editors. */
export function recipeSchema(): Readonly<Record<string, unknown>> {
  return { title: "Recipe of Quern", ...z.toJSONSchema(RECIPE_FILE, { io: "input" }) };
}
