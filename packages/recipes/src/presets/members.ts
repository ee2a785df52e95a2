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

/** Of shrunken ranges the one with the least error, weighed by what inputs are; as in these figures. */
export const LEAST_ERROR: MemberSpec = {
  name: "mean-squared-error",
  options: { steps: 40, mostShrink: 0.6, norm: 2 },
};

/** The same where nothing is known of inputs: an exponent of 2.4 (the default, as in GPTQ's search) was better then at 2 to 4 bits. */
export const LEAST_PLAIN_ERROR: MemberSpec = {
  name: "mean-squared-error",
  options: { steps: 40, mostShrink: 0.6 },
};
