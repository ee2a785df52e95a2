import { formatOf } from "@quern/checkpoints";
import { QuernError } from "@quern/tensor";
import { layerParameters } from "./layer-parameters.ts";
import type { LayerRecipe, QuantizationRecipe } from "./recipe.ts";
import type { LinearLayer } from "./resolved.ts";

/** A layer of a size that its format cannot hold, and what has become of it. */
export interface UnfitLayer {
  readonly module: string;
  readonly problem: string;
  /** Whether it stays as it is; else it has one scale for each output. */
  readonly kept: boolean;
}

/** Layers that a message names. */
const NAMED = 3;

/**
 * The recipe of a layer as its size allows.
 *
 * @returns no recipe for a layer that stays as it is; the one that was given also where it cannot be held, but neither is wanted
 */
export function fitLayer(
  layer: LayerRecipe,
  linear: LinearLayer,
): { readonly layer?: LayerRecipe; readonly problem?: string } {
  const [problem] = problemsOf(layer, linear);
  if (problem === undefined || (layer.unfit ?? "refuse") === "refuse") return { layer };
  if (layer.unfit === "keep") return { problem };
  const whole = withChannels(layer);
  return problemsOf(whole, linear).length > 0 ? { layer } : { layer: whole, problem };
}

/** The recipe with one scale for each output. */
export function withChannels(layer: LayerRecipe): LayerRecipe {
  return { ...layer, parameters: { ...layer.parameters, groupSize: "channel" } };
}

function problemsOf(
  { format, parameters }: LayerRecipe,
  { rows, columns, type }: LinearLayer,
): readonly string[] {
  return formatOf(format).problems({ rows, columns, parameters: layerParameters(parameters, type) });
}

/** What is to be known of layers that have become something else than was asked for. */
export function unfitWarnings({ name }: QuantizationRecipe, layers: readonly UnfitLayer[]): QuernError[] {
  return [true, false].flatMap((kept) => {
    const own = layers.filter((layer) => layer.kept === kept);
    if (own.length === 0) return [];
    const named = own.slice(0, NAMED).map(({ module, problem }) => `"${module}" (${problem})`);
    const more = own.length > named.length ? ` and ${own.length - named.length} more` : "";
    const become = kept ? "stay as they are" : "have one scale for each output";
    return [
      new QuernError(
        "RECIPE_LAYERS_UNFIT",
        `recipe "${name}": layers ${become}, because their size does not fit: ${named.join(", ")}${more}`,
        { subject: { tensor: own[0]!.module } },
      ),
    ];
  });
}
