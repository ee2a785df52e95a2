// The rows of tools/checks/src/quality-table.mjs: rows of one heading have the same bits. `recipe` is the text of a recipe file.
const BLOCKS = ["--pure", "--token-embedding-type", "BF16", "--output-tensor-type", "BF16"];

export const ROWS = [
  ...gguf("Q4_K", "Q4_K_S"),
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
  preset("NVFP4", "nvfp4"),
  preset("NVFP4, GPTQ", "nvfp4-gptq", true),
  preset("MXFP4", "mxfp4"),
  preset("MXFP4, GPTQ", "mxfp4-gptq", true),
  preset("FP8 by output", "fp8"),
];

function gguf(type, mixture) {
  const name = `GGUF ${type}`;
  return [
    {
      name: `${name}, importance (llama-quantize's bytes)`,
      arguments: ["-t", mixture, ...BLOCKS],
      statistics: "--imatrix",
    },
    {
      name: `${name}, GPTQ in the Hessian`,
      arguments: ["-t", mixture, ...BLOCKS, "--rounding", "gptq"],
      statistics: "--statistics",
    },
  ];
}

function groups(bits) {
  const name = `${bits} bits in groups of 128`;
  const shared = `format: gptq-v2\nparameters:\n  bits: ${bits}\n  groupSize: 128\n  symmetric: false\n`;
  const recipe = (rest) => `name: compared\n${shared}${rest}`;
  const searched = "calibrator:\n  name: mean-squared-error\n";
  return [
    { name: `${name}, nearest (RTN)`, recipe: recipe("rounding:\n  name: nearest\n") },
    { name: `${name}, nearest, searched ranges`, recipe: recipe(`rounding:\n  name: nearest\n${searched}`) },
    {
      name: `${name}, AWQ`,
      recipe: recipe(
        `transforms:\n  - name: awq\nrounding:\n  name: nearest\n${searched}searchInHessian: true\n`,
      ),
      statistics: "--statistics",
    },
    { name: `${name}, GPTQ`, recipe: recipe("rounding:\n  name: gptq\n"), statistics: "--statistics" },
  ];
}

function preset(name, recipe, needsStatistics = false) {
  return {
    name,
    recipe: `extends: ${recipe}\n`,
    ...(needsStatistics ? { statistics: "--statistics" } : {}),
  };
}
