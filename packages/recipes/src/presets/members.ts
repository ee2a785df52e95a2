import type { MemberSpec } from "@quern/quantize";

/**
 * GPTQ as it was best by held-out error at every number of bits (figures in the README of `@quern/quantize`): large inputs first, which
 * needs no index of groups with scales that are fitted before, then two passes of coordinate descent with scales refitted.
 */
export const GPTQ: MemberSpec = {
  name: "gptq",
  options: { order: "descending", passes: 2, refitScales: true },
};

export const NEAREST: MemberSpec = { name: "nearest" };
export const HQQ: MemberSpec = { name: "hqq" };

/**
 * Of shrunken ranges the one with the least error, weighed by what inputs are where that is known; as in these figures. The exponent of 2.4
 * that GPTQ's search has was as good, and takes four times as long.
 */
export const LEAST_ERROR: MemberSpec = {
  name: "mean-squared-error",
  options: { steps: 40, mostShrink: 0.6, norm: 2 },
};
