import { formatOf } from "@quern/checkpoints";
import {
  type Calibrator,
  CALIBRATORS,
  type Grid,
  GRIDS,
  refuseCombination,
  type Rounding,
  ROUNDINGS,
} from "@quern/quantize";
import { QuernError } from "@quern/tensor";
import { containerOf } from "./containers.ts";
import { layerParameters } from "./layer-parameters.ts";
import { withChannels } from "./fit-layer.ts";
import { makeMember } from "./make-member.ts";
import type { LayerRecipe, QuantizationRecipe, RecipeParameters } from "./recipe.ts";
import { resolveRecipe, withRule } from "./resolve-recipe.ts";
import { transformNeed } from "./statistics-need.ts";

/** Outputs, and groups or inputs, of a layer that every format can hold if it can hold the parameters at all. */
const USUAL_SIZE = 4096;

/**
 * Checks what can be checked without a model: that every format that a recipe names holds its parameters, and that roundings, grids and
 * calibrators go together.
 *
 * @throws QuernError `RECIPE_INVALID`
 */
export function checkRecipe(recipe: QuantizationRecipe): void {
  const about = (key: string, check: () => void): void => {
    try {
      check();
    } catch (cause) {
      if (!(cause instanceof QuernError) || cause.code === "RECIPE_INVALID") throw cause;
      throw invalid(recipe, key, cause.message, cause);
    }
  };
  about("format", () => containerOf(recipe));
  (recipe.transforms ?? []).forEach((spec, index) =>
    about(`transforms[${index}]`, () => transformNeed(spec)),
  );
  about("", () => checkLayerRecipe(recipe, recipe, ""));
  (recipe.rules ?? []).forEach((rule, index) => {
    if (rule.keep) return;
    const key = `rules[${index}]`;
    about(key, () => checkLayerRecipe(recipe, withRule(recipe, rule), key));
  });
  checkActivations(recipe);
  resolveRecipe(recipe, []);
}

function checkActivations(recipe: QuantizationRecipe): void {
  const layers = [recipe, ...(recipe.rules ?? []).map((rule) => withRule(recipe, rule))];
  for (const { activations } of layers) {
    if (activations !== undefined) makeMember<Calibrator>(CALIBRATORS, activations.calibrator);
  }
  if (layers.every(({ activations }) => activations === undefined)) return;
  if (layers.some(({ parameters }) => parameters.activations === "static")) return;
  throw invalid(
    recipe,
    "activations",
    "stored scales of inputs are chosen, but no layer has any: parameters.activations is not static",
  );
}

function checkLayerRecipe(recipe: QuantizationRecipe, layer: LayerRecipe, key: string): void {
  const format = formatOf(layer.format);
  const parameters = layerParameters(layer.parameters, "BF16");
  const { groupSize } = layer.parameters;
  const shape = { rows: USUAL_SIZE, columns: USUAL_SIZE * (typeof groupSize === "number" ? groupSize : 1) };
  const problems = format.problems({ ...shape, parameters });
  const whole = layerParameters(withChannels(layer).parameters, "BF16");
  const [unheld] = layer.unfit === "channel" ? format.problems({ ...shape, parameters: whole }) : [];
  if (unheld !== undefined) {
    throw invalid(
      recipe,
      key === "" ? "unfit" : `${key}.unfit`,
      `${format.name} has no layers with one scale for each output: ${unheld}`,
    );
  }
  if (format.pack === undefined) throw invalid(recipe, key, `${format.name} can be read and not written`);
  if (problems.length > 0) throw invalid(recipe, key, `${format.name}: ${problems.join("; ")}`);
  const calibrator = layer.calibrator && makeMember<Calibrator>(CALIBRATORS, layer.calibrator);
  const refusal = refuseCombination({
    grid: makeMember<Grid>(GRIDS, format.grid(parameters)),
    rounding: makeMember<Rounding>(ROUNDINGS, layer.rounding),
    calibrator,
    shape,
  });
  if (refusal !== undefined) throw invalid(recipe, key, refusal);
}

function invalid({ name }: QuantizationRecipe, key: string, problem: string, cause?: unknown): QuernError {
  return new QuernError("RECIPE_INVALID", `recipe "${name}"${key && `, ${key}`}: ${problem}`, {
    subject: key === "" ? {} : { key },
    cause,
  });
}

/**
 * The recipe with other bits or groups, wherever it does not say otherwise itself.
 *
 * @throws QuernError `RECIPE_INVALID` where its format has no place for them
 */
export function withParameters(
  recipe: QuantizationRecipe,
  changes: Partial<Pick<RecipeParameters, "bits" | "groupSize">>,
): QuantizationRecipe {
  const words = Object.entries(changes).map(([key, value]) => `${key}=${value}`);
  if (words.length === 0) return recipe;
  const changed = {
    ...recipe,
    name: `${recipe.name}, ${words.join(", ")}`,
    parameters: { ...recipe.parameters, ...changes },
  };
  checkRecipe(changed);
  return changed;
}
