import type { LayerParameters } from "../formats/format.ts";
import {
  groupSizeOf,
  groupsOf,
  type JsonObject,
  type QuantizationConfiguration,
  type QuantizedModel,
} from "./quantized-model.ts";

/** Path of a module below its block, with the path of the block. */
const IN_BLOCK = /^(.*\.\d+)\.([a-z_].*)$/;

function settingsOf(parameters: LayerParameters): JsonObject {
  return {
    bits: parameters.bits,
    group_size: groupSizeOf(parameters),
    desc_act: parameters.actOrder ?? false,
    sym: parameters.symmetric,
  };
}

/** A rule for one module (GPTQModel, `dynamic`): a regular expression that is matched from the start of a name. */
function ruleFor(module: string): string {
  return `^${module.replaceAll(".", "\\.")}$`;
}

/**
 * Names of the quantized modules below a block, where they are the same in all blocks and some others are not quantized
 * (transformers, through optimum); null where there is nothing to say or it cannot be said so.
 */
function modulesInBlock({ layers, kept }: QuantizedModel): string[][] | null {
  if (!kept.some((module) => IN_BLOCK.test(module))) return null;
  const blocks = new Map<string, string[]>();
  for (const { module } of layers) {
    const [, block = "", name = module] = IN_BLOCK.exec(module) ?? [];
    blocks.set(block, [...(blocks.get(block) ?? []), name]);
  }
  const [first = [], ...others] = blocks.values();
  const same = others.every((names) => names.join() === first.join());
  return same ? [first] : null;
}

function settings(model: QuantizedModel): JsonObject {
  const [base, ...others] = groupsOf(model);
  const version = base.format === "gptq" ? "gptq" : "gptq_v2";
  const dynamic = Object.fromEntries([
    ...others.flatMap(({ parameters, modules }) =>
      modules.map((module) => [`+:${ruleFor(module)}`, settingsOf(parameters)]),
    ),
    ...model.kept.filter((module) => IN_BLOCK.test(module)).map((module) => [`-:${ruleFor(module)}`, {}]),
  ]) as JsonObject;
  return {
    quant_method: "gptq",
    ...settingsOf(base.parameters),
    lm_head: model.layers.some(({ module }) => module === "lm_head"),
    format: version,
    checkpoint_format: version,
    pack_dtype: "int32",
    dynamic: Object.keys(dynamic).length === 0 ? null : dynamic,
    modules_in_block_to_quantize: modulesInBlock(model),
    // A name and a version, in the form of GPTQModel.
    meta: { quantizer: [model.quantizer.replace(" ", ":")] },
  };
}

/** GPTQModel, quantization/config.py; vLLM and transformers read the same keys. */
export const gptqConfiguration: QuantizationConfiguration = {
  method: "gptq",
  framework: "pt",
  embeddings: false,
  problems(model) {
    const formats = new Set(model.layers.map(({ format }) => format));
    return formats.size === 1
      ? []
      : ["some layers have zeros less 1 and some have not: expected one version for all"];
  },
  config: (model) => ({ quantization_config: settings(model) }),
  files: (model) => new Map([["quantize_config.json", settings(model)]]),
};
