import { TORCH_TYPES } from "../formats/bitsandbytes-4bit.ts";
import { groupsOf, keptWithHead, oneGroupOnly, type QuantizationConfiguration } from "./quantized-model.ts";

/** transformers, utils/quantization_config.py. No threshold for outliers: it would have to be written as 6.0. */
export const bitsandbytesConfiguration: QuantizationConfiguration = {
  method: "bitsandbytes",
  framework: "pt",
  embeddings: false,
  problems: oneGroupOnly,
  config(model) {
    const [{ format, parameters }] = groupsOf(model);
    const fourBit = parameters.bits === 4;
    return {
      quantization_config: {
        quant_method: "bitsandbytes",
        load_in_4bit: fourBit,
        load_in_8bit: !fourBit,
        // Any list replaces that of transformers, in which lm_head is.
        llm_int8_skip_modules: keptWithHead(model),
        ...(fourBit
          ? {
              bnb_4bit_quant_type: format === "bnb-nf4" ? "nf4" : "fp4",
              bnb_4bit_use_double_quant: parameters.doubleQuantized ?? false,
              bnb_4bit_compute_dtype: TORCH_TYPES.get(parameters.weightType ?? "BF16"),
              bnb_4bit_quant_storage: "uint8",
            }
          : {}),
      },
    };
  },
};
