import type { LayerParameters } from "@quern/checkpoints";
import type { ElementType } from "@quern/tensor";
import type { RecipeParameters } from "./recipe.ts";

/** Edge of the squares of "block" (DeepSeek-V3's FP8; compressed-tensors, strategy "block"). */
const BLOCK = 128;

/** Element types that weights have in models that runtimes load. */
const COMPUTED: ReadonlySet<ElementType> = new Set<ElementType>(["BF16", "F16", "F32"]);

function tileOf(groupSize: RecipeParameters["groupSize"]): LayerParameters["tile"] {
  if (groupSize === "tensor") return { rows: "all", columns: "all" };
  if (groupSize === "channel") return { rows: 1, columns: "all" };
  if (groupSize === "block") return { rows: BLOCK, columns: BLOCK };
  return { rows: 1, columns: groupSize };
}

/** @param type Of the weights as they are. */
export function layerParameters(parameters: RecipeParameters, type: ElementType): LayerParameters {
  const { bits, groupSize, symmetric = true, scaleType = "weights" } = parameters;
  const { doubleQuantized, activations } = parameters;
  return {
    bits,
    tile: tileOf(groupSize),
    symmetric,
    scaleType: scaleType === "weights" ? (type === "F16" ? "F16" : "BF16") : scaleType,
    weightType: COMPUTED.has(type) ? type : "BF16",
    ...(doubleQuantized === undefined ? {} : { doubleQuantized }),
    ...(activations === undefined ? {} : { activations }),
  };
}
