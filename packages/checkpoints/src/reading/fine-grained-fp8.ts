import { type QuantizationReader, unknownQuantization } from "./quantization-reader.ts";

export const fineGrainedFp8Reader: QuantizationReader = {
  method: "fp8",
  markers: [".weight_scale_inv"],
  companions: [".activation_scale", ".input_scale"],
  describe(module, config) {
    const block = config["weight_block_size"];
    const known = Array.isArray(block) && block.length === 2 && block.every((size) => size === 128);
    if (!known) throw unknownQuantization("weight_block_size", block, "[128, 128]");
    const [rows, columns] = module.need(".weight", 2).shape as [number, number];
    const { type: scaleType } = module.need(".weight_scale_inv", 2);
    const tile = { rows: 128, columns: 128 };
    const dynamic = config["activation_scheme"] === "dynamic";
    return {
      ...(dynamic ? { inputs: { type: "F8_E4M3", groupSize: 128 } } : {}),
      format: "fp8",
      layer: { rows, columns, parameters: { bits: 8, tile, symmetric: true, scaleType } },
    };
  },
};
