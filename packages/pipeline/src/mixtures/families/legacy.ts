import type { Mixture, TypeRule } from "../mixture.ts";
import { isInFirst, USUAL } from "../rules.ts";

/** Importance weights can spoil the first layers of types without a minimum per block. */
function withMinimumInFirstLayers(type: string): TypeRule {
  return (site) => (site.hasImportance && isInFirst(8, site) ? type : undefined);
}

/** Blocks of 32 with one scale: simple, fast everywhere, rows of any multiple of 32. */
export const LEGACY_MIXTURES: readonly Mixture[] = [
  {
    name: "Q8_0",
    fileType: 7,
    description: "8 bits in blocks of 32; next to no loss",
    bitsPerWeight: 8.5,
    type: "Q8_0",
    output: "Q8_0",
    ...USUAL,
  },
  {
    name: "Q4_0",
    fileType: 2,
    description: "4 bits in blocks of 32, with a scale; fast on many processors",
    bitsPerWeight: 4.64,
    type: "Q4_0",
    rules: { ffnDown: withMinimumInFirstLayers("Q4_1") },
    ...USUAL,
  },
  {
    name: "Q4_1",
    fileType: 3,
    description: "4 bits in blocks of 32, with a scale and a minimum",
    bitsPerWeight: 5.1,
    type: "Q4_1",
    ...USUAL,
  },
  {
    name: "Q5_0",
    fileType: 8,
    description: "5 bits in blocks of 32, with a scale",
    bitsPerWeight: 5.57,
    type: "Q5_0",
    rules: { ffnDown: withMinimumInFirstLayers("Q5_1") },
    ...USUAL,
  },
  {
    name: "Q5_1",
    fileType: 9,
    description: "5 bits in blocks of 32, with a scale and a minimum",
    bitsPerWeight: 6.04,
    type: "Q5_1",
    ...USUAL,
  },
];
