import { keptWithHead, oneGroupOnly, type QuantizationConfiguration } from "./quantized-model.ts";

/** transformers, quantizers/quantizer_finegrained_fp8.py; other runtimes know the list as `ignored_layers`. */
export const fineGrainedFp8Configuration: QuantizationConfiguration = {
  method: "fp8",
  framework: "pt",
  embeddings: false,
  problems: oneGroupOnly,
  config: (model) => ({
    quantization_config: {
      quant_method: "fp8",
      fmt: "e4m3",
      activation_scheme: "dynamic",
      weight_block_size: [128, 128],
      modules_to_not_convert: keptWithHead(model),
      ignored_layers: keptWithHead(model),
    },
  }),
};
