import type { ElementType } from "../element-type.ts";
import type { ElementCodec } from "./element-codec.ts";
import { F32_CODEC, F64_CODEC, halfByteCodec, oneByteCodec, twoByteCodec } from "./float-codecs.ts";
import {
  BOOL_CODEC,
  I16_CODEC,
  I32_CODEC,
  I64_CODEC,
  I8_CODEC,
  U16_CODEC,
  U32_CODEC,
  U64_CODEC,
  U8_CODEC,
} from "./integer-codecs.ts";
import { SMALL_FLOATS } from "./small-floats.ts";

export const ELEMENT_CODECS: Readonly<Record<ElementType, ElementCodec>> = {
  F64: F64_CODEC,
  F32: F32_CODEC,
  F16: twoByteCodec(SMALL_FLOATS.F16),
  BF16: twoByteCodec(SMALL_FLOATS.BF16),
  F8_E4M3: oneByteCodec(SMALL_FLOATS.F8_E4M3),
  F8_E5M2: oneByteCodec(SMALL_FLOATS.F8_E5M2),
  F8_E8M0: oneByteCodec(SMALL_FLOATS.F8_E8M0),
  F4: halfByteCodec(SMALL_FLOATS.F4),
  I64: I64_CODEC,
  I32: I32_CODEC,
  I16: I16_CODEC,
  I8: I8_CODEC,
  U64: U64_CODEC,
  U32: U32_CODEC,
  U16: U16_CODEC,
  U8: U8_CODEC,
  BOOL: BOOL_CODEC,
};
