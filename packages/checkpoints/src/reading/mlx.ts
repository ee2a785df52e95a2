import {
  fittingGrouping,
  type Grouping,
  groupTile,
  isJsonObject,
  type JsonObject,
  type QuantizationReader,
  unknownQuantization,
} from "./quantization-reader.ts";

/** The grouping of a module: its own entry, or that of the model. */
function groupingOf(module: string, config: JsonObject): Grouping {
  const own = config[module];
  const entry = isJsonObject(own) ? own : config;
  const mode = entry["mode"] ?? config["mode"] ?? "affine";
  if (mode !== "affine") throw unknownQuantization("mode", mode, "affine");
  return { bits: Number(entry["bits"]), groupSize: Number(entry["group_size"]) };
}

export const mlxReader: QuantizationReader = {
  method: "mlx",
  markers: [".scales"],
  companions: [],
  describe(module, config) {
    const { shape: words } = module.need(".weight");
    const { shape: scales, type: scaleType } = module.need(".scales", words.length);
    const found = fittingGrouping([groupingOf(module.module, config)], {
      columns: (bits) => (words.at(-1)! * 32) / bits,
      groups: scales.at(-1)!,
      fits: () => true,
    });
    if (found === undefined || words.length < 2) {
      throw module.invalid(
        `.weight [${words.join(", ")}] and .scales [${scales.join(", ")}] are not what bits and group_size of config.json give`,
      );
    }
    const leading = words.slice(0, -2);
    const { bits, groupSize, columns } = found;
    return {
      format: "mlx",
      leading,
      layer: {
        rows: words.slice(0, -1).reduce((product, size) => product * size, 1),
        columns,
        parameters: { bits, tile: groupTile(groupSize), symmetric: false, scaleType },
      },
    };
  },
};
