import {
  fittingGrouping,
  groupTile,
  type QuantizationReader,
  unknownQuantization,
} from "./quantization-reader.ts";

export const awqReader: QuantizationReader = {
  method: "awq",
  markers: [".qweight"],
  companions: [],
  describe(module, config) {
    const version = config["version"] ?? "gemm";
    if (typeof version !== "string" || version.toLowerCase() !== "gemm")
      throw unknownQuantization("version", config["version"], "gemm");
    const { shape: words } = module.need(".qweight", 2);
    const { shape: scales, type: scaleType } = module.need(".scales", 2);
    const grouping = {
      bits: Number(config["bits"] ?? config["w_bit"]),
      groupSize: Number(config["group_size"] ?? config["q_group_size"]),
    };
    const found = fittingGrouping([grouping], {
      columns: () => words[0]!,
      groups: scales[0]!,
      fits: (bits) => words[1]! * 32 === scales[1]! * bits,
    });
    if (found === undefined) {
      throw module.invalid(
        `.qweight [${words.join(", ")}] and .scales [${scales.join(", ")}] are not what bits and group_size of config.json give`,
      );
    }
    const { bits, groupSize, columns } = found;
    return {
      format: "awq",
      layer: {
        rows: scales[1]!,
        columns,
        parameters: { bits, tile: groupTile(groupSize), symmetric: false, scaleType },
      },
    };
  },
};
