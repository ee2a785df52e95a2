import { QuernError } from "@quern/tensor";
import { absoluteMaximum } from "./calibrators/absolute-maximum.ts";
import { entropy } from "./calibrators/entropy.ts";
import { meanSquaredError } from "./calibrators/mean-squared-error.ts";
import { minMax } from "./calibrators/min-max.ts";
import { movingAverage } from "./calibrators/moving-average.ts";
import { percentile } from "./calibrators/percentile.ts";
import { fp4, int8Vectorwise, nf4 } from "./grids/bitsandbytes.ts";
import { ggml } from "./grids/ggml/ggml.ts";
import { e4m3, mxfp4, nvfp4 } from "./grids/float-grids.ts";
import { uniform } from "./grids/uniform.ts";
import { coordinateDescent } from "./roundings/coordinate-descent.ts";
import { gptq } from "./roundings/gptq.ts";
import { hqq } from "./roundings/hqq.ts";
import { nearest } from "./roundings/nearest.ts";
import { stochastic } from "./roundings/stochastic.ts";
import { awq } from "./transforms/awq.ts";
import { hadamard } from "./transforms/hadamard.ts";
import { smoothQuant } from "./transforms/smooth-quant.ts";

/** Members of each axis by name. A member makes one from its options. */
export const GRIDS: {
  readonly uniform: typeof uniform;
  readonly nf4: typeof nf4;
  readonly fp4: typeof fp4;
  readonly "int8-vectorwise": typeof int8Vectorwise;
  readonly e4m3: typeof e4m3;
  readonly mxfp4: typeof mxfp4;
  readonly nvfp4: typeof nvfp4;
  readonly ggml: typeof ggml;
} = { uniform, nf4, fp4, "int8-vectorwise": int8Vectorwise, e4m3, mxfp4, nvfp4, ggml };

/** How codes are chosen, by the names that recipes use. */
export const ROUNDINGS: {
  readonly nearest: typeof nearest;
  readonly stochastic: typeof stochastic;
  readonly hqq: typeof hqq;
  readonly gptq: typeof gptq;
  readonly "coordinate-descent": typeof coordinateDescent;
} = { nearest, stochastic, hqq, gptq, "coordinate-descent": coordinateDescent };

/** How ranges are chosen, by the names that recipes use. */
export const CALIBRATORS: {
  readonly "min-max": typeof minMax;
  readonly "absolute-maximum": typeof absoluteMaximum;
  readonly "moving-average": typeof movingAverage;
  readonly percentile: typeof percentile;
  readonly "mean-squared-error": typeof meanSquaredError;
  readonly entropy: typeof entropy;
} = {
  "min-max": minMax,
  "absolute-maximum": absoluteMaximum,
  "moving-average": movingAverage,
  percentile,
  "mean-squared-error": meanSquaredError,
  entropy,
};

/** How factors of inputs are chosen, by the names that recipes use. */
export const TRANSFORMS: {
  readonly awq: typeof awq;
  readonly "smooth-quant": typeof smoothQuant;
  readonly hadamard: typeof hadamard;
} = { awq, "smooth-quant": smoothQuant, hadamard };

/**
 * A member of an axis by its name.
 *
 * @throws QuernError `QUANTIZE_UNKNOWN`, with the names that there are
 */
export function findMember<T extends object>(members: T, name: string): T[keyof T] {
  if (!Object.hasOwn(members, name)) {
    throw new QuernError(
      "QUANTIZE_UNKNOWN",
      `there is no ${JSON.stringify(name)}; choose among ${Object.keys(members).join(", ")}`,
      {
        subject: { key: name },
      },
    );
  }
  return members[name as keyof T];
}
