import { formatOf } from "@quern/checkpoints";
import { QuernError } from "@quern/tensor";
import { fitLayer, type UnfitLayer, unfitWarnings } from "./fit-layer.ts";
import { layerParameters } from "./layer-parameters.ts";
import type { LayerRecipe, QuantizationRecipe, Rule } from "./recipe.ts";
import type { LayerDecision, LinearLayer, ResolvedRecipe, StatisticsNeed } from "./resolved.ts";
import { layerNeed, mostOf, needsHessian, transformNeed } from "./statistics-need.ts";

/** Roles of layers that stay as they are unless a rule matches them: routers are no linear layers to most loaders (vLLM, transformers). */
const KEPT: ReadonlySet<string> = new Set(["output", "router", "shared-router"]);

/**
 * What a recipe decides for each linear layer of a model.
 *
 * @param options.tiedOutput Name of the embedding that the output is too, where the model has no layer for it. @default it has one
 * @throws QuernError `RECIPE_INVALID` for a rule whose pattern is no regular expression, `FORMAT_UNKNOWN`, `QUANTIZE_UNKNOWN`,
 * `QUANTIZE_OPTION`
 */
export function resolveRecipe(
  recipe: QuantizationRecipe,
  linears: readonly LinearLayer[],
  options: { readonly tiedOutput?: string } = {},
): ResolvedRecipe {
  const { rules = [], transforms = [] } = recipe;
  const matchers = rules.map((rule, index) => matcher(recipe, rule, index));
  const used = new Set<number>();
  const needs: StatisticsNeed[] = transforms.map(transformNeed);
  const unfit: UnfitLayer[] = [];
  const decisions = linears.map((linear): LayerDecision => {
    const index = matchers.findIndex((matches) => matches(linear));
    const rule = rules[index];
    used.add(index);
    if (rule?.keep ?? (rule === undefined && KEPT.has(linear.role))) {
      return { module: linear.module, keep: true };
    }
    const { layer, problem } = fitLayer(withRule(recipe, rule), linear);
    if (problem !== undefined) unfit.push({ module: linear.module, problem, kept: layer === undefined });
    if (layer === undefined) return { module: linear.module, keep: true };
    needs.push(layerNeed(layer));
    return { module: linear.module, ...decide(layer, linear) };
  });
  const warnings = rules.flatMap((rule, index) =>
    used.has(index) ? [] : [unusedRule(recipe, { rule, index, ...options })],
  );
  warnings.push(...unfitWarnings(recipe, unfit));
  return { decisions, transforms, statistics: mostOf(needs), warnings };
}

/** The recipe of the layers that a rule matches. */
export function withRule(recipe: LayerRecipe, rule: Rule = {}): LayerRecipe {
  const {
    format,
    parameters,
    rounding,
    calibrator,
    searchInHessian,
    guard,
    correctBias,
    activations,
    unfit,
  } = { ...recipe, ...rule };
  return {
    format,
    parameters: { ...recipe.parameters, ...parameters },
    rounding,
    ...(calibrator === undefined ? {} : { calibrator }),
    ...(searchInHessian === undefined ? {} : { searchInHessian }),
    ...(guard === undefined ? {} : { guard }),
    ...(correctBias === undefined ? {} : { correctBias }),
    ...(activations === undefined ? {} : { activations }),
    ...(unfit === undefined ? {} : { unfit }),
  };
}

function decide(layer: LayerRecipe, { type }: LinearLayer): Omit<LayerDecision & { keep?: false }, "module"> {
  const { format, rounding, calibrator, searchInHessian = false } = layer;
  const { guard = needsHessian(rounding), correctBias = false, activations } = layer;
  const parameters = layerParameters(layer.parameters, type);
  return {
    format,
    parameters,
    treatment: {
      grid: formatOf(format).grid(parameters),
      rounding,
      ...(calibrator === undefined ? {} : { calibrator }),
      ...(searchInHessian ? { searchInHessian } : {}),
    },
    guard,
    ...(activations && parameters.activations === "static" && { activations }),
    correctBias,
  };
}

function matcher(
  { name }: QuantizationRecipe,
  { modules, roles }: Rule,
  index: number,
): (linear: LinearLayer) => boolean {
  let pattern: RegExp | undefined;
  try {
    pattern = modules === undefined ? undefined : new RegExp(modules, "u");
  } catch (cause) {
    throw new QuernError(
      "RECIPE_INVALID",
      `recipe "${name}", rule ${index + 1}: "${modules}" is no regular expression`,
      { subject: { key: `rules[${index}].modules` }, cause },
    );
  }
  return ({ module, role }) => (pattern?.test(module) ?? true) && (roles?.includes(role) ?? true);
}

function unusedRule(
  { name }: QuantizationRecipe,
  params: { readonly rule: Rule; readonly index: number; readonly tiedOutput?: string },
): QuernError {
  const { rule, index, tiedOutput } = params;
  const { modules, roles } = rule;
  const what = [
    ...(modules === undefined ? [] : [`modules that match "${modules}"`]),
    ...(roles === undefined ? [] : [`roles ${roles.join(", ")}`]),
  ].join(" and ");
  return new QuernError(
    "RECIPE_RULE_UNUSED",
    `recipe "${name}": rule ${index + 1} (${what || "all layers"}) decides about no layer of this model${
      roles?.includes("output") && tiedOutput !== undefined
        ? `, whose output is its embedding "${tiedOutput}" (tie_word_embeddings) and stays as that is`
        : ""
    }`,
    { subject: { key: `rules[${index}]` } },
  );
}
