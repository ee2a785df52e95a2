import type { LayerParameters } from "../formats/format.ts";
import {
  groupsOf,
  type JsonObject,
  keptWithHead,
  type LayerGroup,
  type QuantizationConfiguration,
} from "./quantized-model.ts";

/** The version whose keys these are; later ones know more (compressed-tensors, quantization/quant_args.py). */
const VERSION = "0.12.2";

/** What formats say about themselves beside the parameters of layers. */
const TYPES: ReadonlyMap<string, { type: "int" | "float"; strategy?: string; more?: JsonObject }> = new Map([
  ["pack-quantized", { type: "int" }],
  ["int-quantized", { type: "int" }],
  ["float-quantized", { type: "float" }],
  ["nvfp4-pack-quantized", { type: "float", strategy: "tensor_group" }],
  // Known from version 0.13.0 on, and needed.
  ["mxfp4-pack-quantized", { type: "float", more: { scale_dtype: "torch.uint8", zp_dtype: "torch.uint8" } }],
]);

function strategyOf({ tile }: LayerParameters): JsonObject {
  if (tile.rows === "all") return { strategy: "tensor", group_size: null, block_structure: null };
  if (tile.columns === "all") return { strategy: "channel", group_size: null, block_structure: null };
  if (tile.rows === 1) return { strategy: "group", group_size: tile.columns, block_structure: null };
  return { strategy: "block", group_size: null, block_structure: [tile.rows, tile.columns] };
}

function weightsOf({ format, parameters }: LayerGroup): JsonObject {
  const { type, strategy, more } = TYPES.get(format)!;
  return {
    num_bits: parameters.bits,
    type,
    symmetric: parameters.symmetric,
    ...strategyOf(parameters),
    ...(strategy === undefined ? {} : { strategy }),
    dynamic: false,
    actorder: parameters.actOrder ? "group" : null,
    observer: "minmax",
    observer_kwargs: {},
    ...more,
  };
}

function activationsOf({ format, parameters }: LayerGroup): JsonObject | null {
  const { activations, tile, bits } = parameters;
  if (activations === undefined) return null;
  const dynamic = activations === "dynamic";
  const block = tile.columns !== "all";
  return {
    num_bits: bits,
    type: TYPES.get(format)!.type,
    symmetric: true,
    strategy: !dynamic ? "tensor" : block ? "group" : "token",
    group_size: dynamic && block ? tile.columns : null,
    block_structure: null,
    dynamic,
    actorder: null,
    observer: dynamic ? null : "minmax",
    observer_kwargs: {},
  };
}

/** compressed-tensors, quantization/quant_config.py. Layers other than most are named, one by one. */
export const compressedTensorsConfiguration: QuantizationConfiguration = {
  method: "compressed-tensors",
  framework: "pt",
  embeddings: false,
  problems: () => [],
  config(model) {
    const groups = groupsOf(model);
    const mixed = groups.some(({ format }) => format !== groups[0].format);
    return {
      quantization_config: {
        quant_method: "compressed-tensors",
        version: VERSION,
        format: mixed ? "mixed-precision" : groups[0].format,
        quantization_status: "compressed",
        config_groups: Object.fromEntries(
          groups.map((group, index) => [
            `group_${index}`,
            {
              targets: index === 0 ? ["Linear"] : group.modules,
              ...(mixed ? { format: group.format } : {}),
              weights: weightsOf(group),
              input_activations: activationsOf(group),
              output_activations: null,
            },
          ]),
        ),
        ignore: keptWithHead(model),
        kv_cache_scheme: null,
        global_compression_ratio: null,
        sparsity_config: {},
        transform_config: {},
      },
    };
  },
};
