import type { MemberSpec } from "../../treatment.ts";
import { BLOCK_LAYOUTS } from "./layouts.ts";

/**
 * The rounding that has lost least on blocks of a type (`tools/checks/src/quality.mjs`): columns with large inputs first, then scales and
 * codes in turns. From 5 bits on there is little left to be won by searching scales.
 */
export function recommendedRounding(type: string): MemberSpec {
  const levels = BLOCK_LAYOUTS[type]?.levels.length ?? 0;
  const searchScales = levels <= 16;
  return {
    name: "gptq",
    options: { order: "descending", passes: searchScales ? 3 : 2, refitScales: true, searchScales },
  };
}
