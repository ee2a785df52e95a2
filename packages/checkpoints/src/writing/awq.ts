import {
  groupSizeOf,
  groupsOf,
  keptWithHead,
  oneGroupOnly,
  type QuantizationConfiguration,
  type QuantizedModel,
} from "./quantized-model.ts";

/** Nothing where only the output layer is left: loaders know that, or see which layers have other types. */
function notConverted(model: QuantizedModel): string[] | null {
  const kept = keptWithHead(model);
  return kept.every((module) => module === "lm_head") ? null : kept;
}

/** AutoAWQ, awq/models/_config.py. Symmetric grids are written with zeros, which kernels expect. */
export const awqConfiguration: QuantizationConfiguration = {
  method: "awq",
  framework: "pt",
  embeddings: false,
  problems(model) {
    // Runtimes look whether an entry is anywhere in the name of a module.
    const clash = notConverted(model)?.flatMap((entry) =>
      model.layers.filter(({ module }) => module.includes(entry)).map(({ module }) => ({ entry, module })),
    )[0];
    return [
      ...oneGroupOnly(model),
      ...(clash === undefined
        ? []
        : [
            `"${clash.entry}" is to be left as it is, and loaders would leave "${clash.module}" too, which has that in its name`,
          ]),
    ];
  },
  config(model) {
    const [{ parameters }] = groupsOf(model);
    return {
      quantization_config: {
        quant_method: "awq",
        bits: parameters.bits,
        group_size: groupSizeOf(parameters),
        zero_point: true,
        version: "gemm",
        modules_to_not_convert: notConverted(model),
      },
    };
  },
};
