import type { MemberSpec } from "../../treatment.ts";

/**
 * The rounding that has lost least on blocks of all types that were compared (Q2_K to Q4_K, `tools/checks/src/quality.mjs`): columns with
 * large inputs first, then scales and codes in turns.
 */
export const GGML_ROUNDING: MemberSpec = {
  name: "gptq",
  options: { order: "descending", passes: 3, refitScales: true, searchScales: true },
};
