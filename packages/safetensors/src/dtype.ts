import type { ElementType } from "@quern/tensor";

/**
 * Every dtype of the format in the order of the reference's `Dtype` enum (safetensors/src/tensor.rs), which is that of
 * increasing alignment: files are laid out by descending position in this list. Types that are in the format but not among
 * the element types here are refused by a name of their own, so that the message can say what they are.
 */
const DTYPES: readonly (readonly [name: string, supported: boolean])[] = [
  ["BOOL", true],
  ["F4", true],
  ["F6_E2M3", false],
  ["F6_E3M2", false],
  ["U8", true],
  ["I8", true],
  ["F8_E5M2", true],
  ["F8_E4M3", true],
  ["F8_E8M0", true],
  ["F8_E4M3FNUZ", false],
  ["F8_E5M2FNUZ", false],
  ["I16", true],
  ["U16", true],
  ["F16", true],
  ["BF16", true],
  ["I32", true],
  ["U32", true],
  ["F32", true],
  ["C64", false],
  ["F64", true],
  ["I64", true],
  ["U64", true],
];

const RANKS: ReadonlyMap<string, number> = new Map(DTYPES.map(([name], rank) => [name, rank]));
const UNSUPPORTED: ReadonlySet<string> = new Set(
  DTYPES.filter(([, supported]) => !supported).map(([name]) => name),
);

/** Position of a type in the layout order: tensors of a higher rank come first in a file. */
export function layoutRank(type: ElementType): number {
  return RANKS.get(type)!;
}

/** Whether the format knows the name, but this package has no element type for it. */
export function isUnsupportedDtype(name: string): boolean {
  return UNSUPPORTED.has(name);
}
