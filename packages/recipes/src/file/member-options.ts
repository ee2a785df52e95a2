import { z } from "zod";

const count = z.int().min(1);
const share = z.number().min(0).max(1);

/** Options of members by the names of the members. */
export type OptionsByName = Readonly<Record<string, z.core.$ZodShape>>;

/** What members of the axes are made from, by name: a line for every member that a recipe can name. */
export const ROUNDING_OPTIONS: OptionsByName = {
  nearest: {},
  stochastic: { seed: z.int().min(0).optional() },
  hqq: {
    iterations: count.optional(),
    norm: z.number().gt(0).max(1).optional(),
    beta: z.number().gt(0).optional(),
    growth: z.number().min(1).optional(),
  },
  gptq: {
    order: z.enum(["natural", "descending", "descending-tiles"]).optional(),
    tiles: z.enum(["static", "dynamic"]).optional(),
    damping: z.number().min(0).optional(),
    passes: z.int().min(0).optional(),
    refitScales: z.boolean().optional(),
    searchScales: z.boolean().optional(),
    shift: share.optional(),
  },
  "coordinate-descent": {
    passes: count.optional(),
    refitScales: z.boolean().optional(),
    damping: z.number().min(0).optional(),
  },
};

export const CALIBRATOR_OPTIONS: OptionsByName = {
  "min-max": {},
  "absolute-maximum": {},
  "moving-average": { momentum: share.optional() },
  percentile: { share: z.number().gt(0).max(1).optional() },
  "mean-squared-error": {
    steps: count.optional(),
    mostShrink: z.number().min(0).lt(1).optional(),
    norm: z.number().gt(0).optional(),
  },
  entropy: { bins: count.optional() },
};

export const TRANSFORM_OPTIONS: OptionsByName = {
  awq: {
    steps: count.optional(),
    weighWeights: z.boolean().optional(),
    rows: count.optional(),
    loss: z.enum(["layers", "parent"]).optional(),
  },
  "smooth-quant": { alpha: z.union([share, z.array(share).min(1)]).optional() },
  hadamard: { r1: z.boolean().optional(), r2: z.boolean().optional(), seed: z.int().min(0).optional() },
};
