import { GGML_ROUNDING } from "@quern/quantize";

const DAMPING = 0.01;
const compensated = { name: "gptq", options: { damping: DAMPING } };
const refined = { name: "gptq", options: { damping: DAMPING, passes: 2 } };
const nearest = { name: "nearest" };
const squares = { name: "mean-squared-error" };

const tiles = (bits, columns) => ({
  name: "uniform",
  options: { bits, symmetric: false, tile: { columns } },
});

/** What is compared: see round-group.mjs. Methods of the same heading have the same bits. */
export const METHODS = {
  ...Object.fromEntries(["Q4_K", "Q3_K", "Q2_K"].flatMap(blocks)),
  "4 bits of 64: NF4": { grid: { name: "nf4" }, rounding: nearest },
  "4 bits of 64: integers by largest magnitude": {
    grid: { name: "uniform", options: { bits: 4, symmetric: true, tile: { columns: 64 }, scaleType: "F32" } },
    rounding: nearest,
  },
  ...Object.fromEntries([4, 3].flatMap(groups)),
};

function blocks(type) {
  const grid = { name: "ggml", options: { type } };
  return [
    [`${type}, no importance`, { type, plain: true }],
    [`${type}, importance`, { type }],
    [`${type}, GPTQ`, { grid, rounding: compensated }],
    [`${type}, GPTQ, 2 CD`, { grid, rounding: refined }],
    [`${type}, recommended`, { grid, rounding: GGML_ROUNDING }],
  ];
}

function groups(bits) {
  const grid = tiles(bits, 128);
  const name = `${bits} bits of 128`;
  return [
    [`${name}: RTN`, { grid, rounding: nearest }],
    [`${name}: AWQ`, { grid, rounding: nearest, transform: { name: "awq" } }],
    [`${name}: GPTQ`, { grid, rounding: compensated }],
    [`${name}: GPTQ, searched ranges, 2 CD`, { grid, rounding: refined, calibrator: squares }],
  ];
}
