import type { LinearInputs } from "@quern/models";

/** Inputs of the hold-out that are kept of each layer: enough for an error within a few percent, and small beside Hessians. */
const HOLD_OUT_ROWS = 256;

/** Of rare experts, at least so many. */
const LEAST_HOLD_OUT_ROWS = 8;

/**
 * Rows to keep of each matrix: of experts, fewer of each, so that all of them together take no more than some layers.
 *
 * @param tokens Of the hold-out, in all.
 */
export function holdOutRowsOf({ matrices, rowsPerToken }: LinearInputs, tokens: number): number {
  const share = Math.ceil((HOLD_OUT_ROWS * rowsPerToken) / matrices);
  return Math.min(Math.max(share, LEAST_HOLD_OUT_ROWS), HOLD_OUT_ROWS, tokens);
}
