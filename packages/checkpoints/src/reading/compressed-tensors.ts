import { wordRowBytes } from "../formats/bit-packing.ts";
import type { LayerParameters } from "../formats/format.ts";
import {
  type DescribedLayer,
  fittingGrouping,
  type Grouping,
  groupTile,
  isJsonObject,
  type JsonObject,
  type ModuleTensors,
  type QuantizationReader,
} from "./quantization-reader.ts";
import { configuredInputs } from "./quantized-inputs.ts";

/** What the groups of config.json say about weights. Shapes tell which group a layer is of. */
function groupings(config: JsonObject): (Grouping & { symmetric: boolean; ordered: boolean })[] {
  const groups = isJsonObject(config["config_groups"]) ? Object.values(config["config_groups"]) : [];
  return groups.flatMap((group) => {
    const weights = isJsonObject(group) ? group["weights"] : undefined;
    if (!isJsonObject(weights)) return [];
    return [
      {
        bits: Number(weights["num_bits"]),
        groupSize: Number(weights["group_size"] ?? -1),
        symmetric: weights["symmetric"] !== false,
        ordered: weights["actorder"] === "group",
      },
    ];
  });
}

async function packed(module: ModuleTensors, config: JsonObject): Promise<DescribedLayer> {
  const { shape: words } = module.need(".weight_packed", 2);
  const { shape: scales, type: scaleType } = module.need(".weight_scale", 2);
  const [rows, columns] = (await module.readIntegers(".weight_shape", 2)) as [number, number];
  const found = fittingGrouping(groupings(config), {
    columns: () => columns,
    groups: scales[1]!,
    fits: (bits) => words[1] === wordRowBytes(columns, bits) / 4,
  });
  if (found === undefined) {
    throw module.invalid(
      `.weight_packed [${words.join(", ")}] and .weight_scale [${scales.join(", ")}] are not what any of config_groups gives for ${rows} x ${columns} weights`,
    );
  }
  const parameters: LayerParameters = {
    bits: found.bits,
    tile: groupTile(found.groupSize),
    symmetric: found.symmetric && !module.has(".weight_zero_point"),
    scaleType,
    ...(found.ordered || module.has(".weight_g_idx") ? { actOrder: true } : {}),
  };
  return { format: "pack-quantized", layer: { rows, columns, parameters } };
}

function fourBitFloats(module: ModuleTensors): DescribedLayer {
  const [rows, bytes] = module.need(".weight_packed", 2).shape as [number, number];
  const global = module.has(".weight_global_scale");
  return {
    format: global ? "nvfp4-pack-quantized" : "mxfp4-pack-quantized",
    layer: {
      rows,
      columns: 2 * bytes,
      parameters: {
        bits: 4,
        tile: { rows: 1, columns: global ? 16 : 32 },
        symmetric: true,
        scaleType: global ? "F8_E4M3" : "F8_E8M0",
      },
    },
  };
}

function bytes(module: ModuleTensors, config: JsonObject): DescribedLayer {
  const { shape, type } = module.need(".weight", 2);
  const [rows, columns] = shape as [number, number];
  const scale = module.need(".weight_scale");
  const perTensor = scale.shape.length < 2;
  const perRow = !perTensor && scale.shape[1] === 1 && scale.shape[0] === rows;
  const tile: LayerParameters["tile"] = perTensor
    ? { rows: "all", columns: "all" }
    : perRow
      ? { rows: 1, columns: "all" }
      : { rows: 128, columns: 128 };
  const inputs = configuredInputs(module, config);
  return {
    ...(inputs === undefined ? {} : { inputs }),
    format: type === "I8" ? "int-quantized" : "float-quantized",
    layer: { rows, columns, parameters: { bits: 8, tile, symmetric: true, scaleType: scale.type } },
  };
}

export const compressedTensorsReader: QuantizationReader = {
  method: "compressed-tensors",
  markers: [".weight_packed", ".weight_scale"],
  companions: [".input_scale", ".input_zero_point", ".input_global_scale"],
  describe(module, config) {
    if (!module.has(".weight_packed")) return bytes(module, config);
    return module.need(".weight_packed", 2).type === "U8" ? fourBitFloats(module) : packed(module, config);
  },
};
