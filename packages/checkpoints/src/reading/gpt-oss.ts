import type { QuantizationReader } from "./quantization-reader.ts";

/** Experts of gpt-oss. The weight has the name of the floating-point parameter, which is stored with its last two axes exchanged. */
export const gptOssReader: QuantizationReader = {
  method: "mxfp4",
  markers: ["_blocks"],
  companions: [],
  weight: "",
  describe(module) {
    const [experts, outputs, groups] = module.need("_blocks", 4).shape as [number, number, number];
    return {
      format: "mxfp4",
      leading: [experts],
      layer: {
        rows: experts * outputs,
        columns: groups * 32,
        parameters: { bits: 4, tile: { rows: 1, columns: 32 }, symmetric: true, scaleType: "F8_E8M0" },
      },
    };
  },
};
