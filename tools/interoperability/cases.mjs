// The checkpoints that are checked: each format with the choices that loaders know.

const group = (columns) => ({ rows: 1, columns });
const channel = { rows: 1, columns: "all" };

/** Folder -> format and parameters of all linear layers. */
export const CASES = {
  "gptq-w2": ["gptq", { bits: 2, tile: group(64), symmetric: true, scaleType: "F16" }],
  "gptq-w4": ["gptq", { bits: 4, tile: group(128), symmetric: true, scaleType: "F16" }],
  "gptq-w4-asymmetric": ["gptq", { bits: 4, tile: group(64), symmetric: false, scaleType: "F16" }],
  "gptq-w4-ordered": [
    "gptq",
    { bits: 4, tile: group(64), symmetric: true, scaleType: "F16", actOrder: true },
  ],
  "gptq-v2-w8": ["gptq-v2", { bits: 8, tile: channel, symmetric: false, scaleType: "F16" }],
  "awq-w4": ["awq", { bits: 4, tile: group(128), symmetric: false, scaleType: "F16" }],
  "bnb-nf4": ["bnb-nf4", { bits: 4, tile: group(64), symmetric: true, scaleType: "F32" }],
  "bnb-nf4-double": [
    "bnb-nf4",
    { bits: 4, tile: group(64), symmetric: true, scaleType: "F32", doubleQuantized: true },
  ],
  "bnb-fp4": ["bnb-fp4", { bits: 4, tile: group(64), symmetric: true, scaleType: "F32" }],
  "bnb-fp4-double": [
    "bnb-fp4",
    { bits: 4, tile: group(64), symmetric: true, scaleType: "F32", doubleQuantized: true },
  ],
  "bnb-int8": ["bnb-int8", { bits: 8, tile: channel, symmetric: true, scaleType: "F32" }],
  "ct-w4a16": ["pack-quantized", { bits: 4, tile: group(128), symmetric: true, scaleType: "BF16" }],
  "ct-w4a16-asymmetric": [
    "pack-quantized",
    { bits: 4, tile: group(32), symmetric: false, scaleType: "BF16" },
  ],
  "ct-w8a16": ["pack-quantized", { bits: 8, tile: channel, symmetric: true, scaleType: "BF16" }],
  "ct-w3a16": ["pack-quantized", { bits: 3, tile: group(64), symmetric: true, scaleType: "BF16" }],
  "ct-w8a8": [
    "int-quantized",
    { bits: 8, tile: channel, symmetric: true, scaleType: "BF16", activations: "dynamic" },
  ],
  "ct-w8a8-static": [
    "int-quantized",
    { bits: 8, tile: channel, symmetric: true, scaleType: "BF16", activations: "static" },
  ],
  "ct-fp8": [
    "float-quantized",
    { bits: 8, tile: channel, symmetric: true, scaleType: "BF16", activations: "dynamic" },
  ],
  "ct-fp8-static": [
    "float-quantized",
    {
      bits: 8,
      tile: { rows: "all", columns: "all" },
      symmetric: true,
      scaleType: "BF16",
      activations: "static",
    },
  ],
  "ct-nvfp4": ["nvfp4-pack-quantized", { bits: 4, tile: group(16), symmetric: true, scaleType: "F8_E4M3" }],
  "ct-mxfp4": ["mxfp4-pack-quantized", { bits: 4, tile: group(32), symmetric: true, scaleType: "F8_E8M0" }],
  fp8: ["fp8", { bits: 8, tile: { rows: 128, columns: 128 }, symmetric: true, scaleType: "F32" }],
  "mlx-q4": ["mlx", { bits: 4, tile: group(64), symmetric: false, scaleType: "BF16" }],
};
