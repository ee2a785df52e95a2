import type { BlockLayout } from "./block-layout.ts";
import { Q2_K, Q4_K, Q5_K } from "./families/affine-k.ts";
import { Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 } from "./families/blocks-of-32.ts";
import { Q3_K, Q6_K } from "./families/symmetric-k.ts";
import { IQ4_NL, IQ4_XS, MXFP4, NVFP4 } from "./families/tables.ts";

/** Block types on which any rounding works. */
export const BLOCK_LAYOUTS: Readonly<Record<string, BlockLayout>> = Object.fromEntries(
  [Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS, MXFP4, NVFP4].map((layout) => [
    layout.type,
    layout,
  ]),
);

/** Their names. */
export const BLOCK_TYPES: readonly string[] = Object.keys(BLOCK_LAYOUTS);
