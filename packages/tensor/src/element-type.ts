import { QuernError } from "./error.ts";

/** Names of element types, as safetensors headers spell them. */
export type ElementType =
  | "F64"
  | "F32"
  | "F16"
  | "BF16"
  | "F8_E4M3"
  | "F8_E5M2"
  | "F8_E8M0"
  | "F4"
  | "I64"
  | "I32"
  | "I16"
  | "I8"
  | "U64"
  | "U32"
  | "U16"
  | "U8"
  | "BOOL";

export type ElementKind = "float" | "signed" | "unsigned" | "boolean";

export interface ElementTypeTraits {
  readonly name: ElementType;
  readonly kind: ElementKind;
  /** Bits of one element; less than 8 for packed types (F4: two elements a byte, the first in the low nibble). */
  readonly bits: number;
}

/** Every element type with its properties. */
export const ELEMENT_TYPES: Readonly<Record<ElementType, ElementTypeTraits>> = {
  F64: { name: "F64", kind: "float", bits: 64 },
  F32: { name: "F32", kind: "float", bits: 32 },
  F16: { name: "F16", kind: "float", bits: 16 },
  BF16: { name: "BF16", kind: "float", bits: 16 },
  F8_E4M3: { name: "F8_E4M3", kind: "float", bits: 8 },
  F8_E5M2: { name: "F8_E5M2", kind: "float", bits: 8 },
  F8_E8M0: { name: "F8_E8M0", kind: "float", bits: 8 },
  F4: { name: "F4", kind: "float", bits: 4 },
  I64: { name: "I64", kind: "signed", bits: 64 },
  I32: { name: "I32", kind: "signed", bits: 32 },
  I16: { name: "I16", kind: "signed", bits: 16 },
  I8: { name: "I8", kind: "signed", bits: 8 },
  U64: { name: "U64", kind: "unsigned", bits: 64 },
  U32: { name: "U32", kind: "unsigned", bits: 32 },
  U16: { name: "U16", kind: "unsigned", bits: 16 },
  U8: { name: "U8", kind: "unsigned", bits: 8 },
  BOOL: { name: "BOOL", kind: "boolean", bits: 8 },
};

/** Whether `name` is the name of an element type. */
export function isElementType(name: string): name is ElementType {
  return Object.hasOwn(ELEMENT_TYPES, name);
}

/**
 * Properties of an element type.
 *
 * @throws QuernError `TENSOR_TYPE_UNKNOWN` when a program without type checks passes something else.
 */
export function elementTypeTraits(type: ElementType): ElementTypeTraits {
  if (isElementType(type)) return ELEMENT_TYPES[type];
  throw new QuernError("TENSOR_TYPE_UNKNOWN", `${JSON.stringify(type)} is not an element type`);
}
