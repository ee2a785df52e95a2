/** What is compared: see round-group.mjs. */
export const METHODS = Object.fromEntries(
  ["Q4_K", "Q3_K", "Q2_K"].flatMap((type) => {
    const grid = { name: "ggml", options: { type } };
    return [
      [`${type}, no importance`, { type, plain: true }],
      [`${type}, importance`, { type }],
      [`${type}, GPTQ`, { grid, rounding: { name: "gptq", options: { damping: 0.01 } } }],
      [`${type}, GPTQ, 2 CD`, { grid, rounding: { name: "gptq", options: { damping: 0.01, passes: 2 } } }],
    ];
  }),
);
