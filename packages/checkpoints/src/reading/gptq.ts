import {
  fittingGrouping,
  type Grouping,
  groupTile,
  isJsonObject,
  type JsonObject,
  type QuantizationReader,
  unknownQuantization,
} from "./quantization-reader.ts";

/** Versions by what `checkpoint_format` calls them. */
const FORMATS: ReadonlyMap<unknown, string> = new Map([
  ["gptq", "gptq"],
  ["gptq_v2", "gptq-v2"],
]);

/** The grouping of the model, and those that rules give some modules (`dynamic`, GPTQModel). Shapes tell which one a layer has. */
function groupings(config: JsonObject): Grouping[] {
  const base = groupingOf(config, {});
  const dynamic = isJsonObject(config["dynamic"]) ? Object.values(config["dynamic"]) : [];
  return [base, ...dynamic.filter(isJsonObject).map((rule) => groupingOf(rule, base))];
}

function groupingOf(config: JsonObject, base: Partial<Grouping>): Grouping {
  return {
    bits: Number(config["bits"] ?? base.bits),
    groupSize: Number(config["group_size"] ?? base.groupSize),
  };
}

export const gptqReader: QuantizationReader = {
  method: "gptq",
  markers: [".qweight"],
  companions: [],
  describe(module, config) {
    const version = config["checkpoint_format"] ?? config["format"] ?? "gptq";
    const format = FORMATS.get(version);
    if (format === undefined) throw unknownQuantization("checkpoint_format", version, "gptq or gptq_v2");
    const { shape: words } = module.need(".qweight", 2);
    const { shape: scales, type: scaleType } = module.need(".scales", 2);
    const { shape: index } = module.need(".g_idx", 1);
    const found = fittingGrouping(groupings(config), {
      columns: () => index[0]!,
      groups: scales[0]!,
      fits: (bits, columns) => words[0] === (columns * bits) / 32,
    });
    if (found === undefined) {
      throw module.invalid(
        `.qweight [${words.join(", ")}] and .scales [${scales.join(", ")}] are not what bits and group_size of config.json give for ${index[0]} inputs`,
      );
    }
    const { bits, groupSize, columns } = found;
    return {
      format,
      layer: {
        rows: words[1]!,
        columns,
        parameters: {
          bits,
          tile: groupTile(groupSize),
          symmetric: config["sym"] !== false,
          scaleType,
          actOrder: config["desc_act"] === true,
        },
      },
    };
  },
};
