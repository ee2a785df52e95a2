// The rows of tools/checks/src/quality-table.mjs: rows of one heading have the same bits. `recipe` is the text of a recipe file, `inputs`
// what is known of the inputs of layers: nothing, their importance, statistics, or a model that runs along.
const BLOCKS = ["--pure", "--token-embedding-type", "BF16", "--output-tensor-type", "BF16"];

/** Options of GPTQ in presets. */
const REFINED = "  options:\n    order: descending\n    passes: 2\n    refitScales: true\n";

export const ROWS = [
  ...gguf("Q6_K", "Q6_K"),
  ...gguf("Q5_K", "Q5_K_S"),
  ...gguf("Q4_K", "Q4_K_S"),
  ...gguf("IQ4_XS", "IQ4_XS"),
  ...gguf("Q3_K", "Q3_K_S"),
  ...gguf("Q2_K", "Q2_K"),
  ...groups(4),
  ...groups(3),
  preset("NF4, blocks of 64", "bnb-nf4"),
  preset("NF4, blocks of 64, scales quantized (QLoRA)", "bnb-nf4-dq"),
  {
    name: "4-bit integers by largest magnitude, groups of 64",
    recipe:
      "name: compared\nformat: pack-quantized\nparameters:\n  bits: 4\n  groupSize: 64\nrounding:\n  name: nearest\n",
  },
  preset("MLX, 4 bits in groups of 64, HQQ", "mlx-q4"),
  preset("MLX, 4 bits in groups of 64, GPTQ", "mlx-q4-gptq", "statistics"),
  preset("NVFP4", "nvfp4"),
  preset("NVFP4, GPTQ", "nvfp4-gptq", "statistics"),
  preset("MXFP4", "mxfp4"),
  preset("MXFP4, GPTQ", "mxfp4-gptq", "statistics"),
  {
    name: "MXFP4, GPTQ, scales not searched",
    recipe: `extends: mxfp4-gptq\nrounding:\n  name: gptq\n${REFINED}`,
    inputs: "statistics",
  },
  preset("FP8 by output, inputs by token", "fp8"),
  preset("W8A8, nearest", "w8a8"),
  preset("W8A8, SmoothQuant", "w8a8-smoothquant", "statistics"),
  preset("W8A8, SmoothQuant, static inputs", "w8a8-static", "statistics"),
];

function gguf(type, mixture) {
  const name = `GGUF ${type}`;
  return [
    {
      name: `${name}, importance (llama-quantize's bytes)`,
      arguments: ["-t", mixture, ...BLOCKS],
      inputs: "importance",
    },
    {
      name: `${name}, GPTQ in the Hessian`,
      arguments: ["-t", mixture, ...BLOCKS, "--rounding", "gptq"],
      inputs: "statistics",
    },
  ];
}

function groups(bits) {
  const name = `${bits} bits in groups of 128`;
  const shared = `format: gptq-v2\nparameters:\n  bits: ${bits}\n  groupSize: 128\n  symmetric: false\n`;
  const row = (method, rest, inputs) => ({
    name: `${name}, ${method}`,
    recipe: `name: compared\n${shared}${rest}`,
    inputs,
  });
  const nearest = "rounding:\n  name: nearest\n";
  const gptq = "rounding:\n  name: gptq\n";
  const searched = "calibrator:\n  name: mean-squared-error\n";
  const awq = "transforms:\n  - name: awq\nsearchInHessian: true\n";
  return [
    row("nearest (RTN)", nearest),
    row("nearest, searched ranges", `${nearest}${searched}`),
    row("AWQ", `${awq}${nearest}${searched}`, "statistics"),
    row("GPTQ", gptq, "statistics"),
    row("GPTQ, sequential", gptq, "sequential"),
    row("GPTAQ, sequential", `${gptq}  options:\n    shift: 0.25\n`, "sequential"),
    row("GPTQ, as presets have it", `${gptq}${REFINED}${searched}`, "statistics"),
  ];
}

function preset(name, recipe, inputs) {
  return { name, recipe: `extends: ${recipe}\n`, inputs };
}
