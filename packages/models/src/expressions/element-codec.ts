import { ELEMENT_TYPES, type ElementType } from "@quern/tensor";
import { invalid } from "./row-shape.ts";

type Decode = (view: DataView, offset: number) => number;

/** How to read one element; 64-bit integers round to the nearest double. */
const DECODERS: Readonly<Partial<Record<ElementType, Decode>>> = {
  F64: (view, offset) => view.getFloat64(offset, true),
  F32: (view, offset) => view.getFloat32(offset, true),
  F16: (view, offset) => decodeFloat16(view.getUint16(offset, true)),
  BF16: (view, offset) => decodeBfloat16(view.getUint16(offset, true)),
  F8_E4M3: (view, offset) => decodeFloat8E4M3(view.getUint8(offset)),
  F8_E5M2: (view, offset) => decodeFloat16(view.getUint8(offset) << 8),
  I64: (view, offset) => Number(view.getBigInt64(offset, true)),
  I32: (view, offset) => view.getInt32(offset, true),
  I16: (view, offset) => view.getInt16(offset, true),
  I8: (view, offset) => view.getInt8(offset),
  U64: (view, offset) => Number(view.getBigUint64(offset, true)),
  U32: (view, offset) => view.getUint32(offset, true),
  U16: (view, offset) => view.getUint16(offset, true),
  U8: (view, offset) => view.getUint8(offset),
  BOOL: (view, offset) => view.getUint8(offset),
};

/** @throws QuernError `EXPRESSION_INVALID` for types without a value of their own (F4, F8_E8M0: they need scales) */
export function checkDecodable(type: ElementType): void {
  if (DECODERS[type] === undefined) throw invalid(`${type} elements cannot be read as numbers`);
}

/**
 * Numbers of packed elements, in double precision.
 *
 * @param params.visit Called for each element in order.
 */
export function decodeElements(params: {
  type: ElementType;
  bytes: Uint8Array;
  visit: (value: number, index: number) => void;
}): void {
  const { type, bytes, visit } = params;
  const decode = DECODERS[type]!;
  const size = ELEMENT_TYPES[type].bits / 8;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let index = 0; index * size < bytes.byteLength; index++) visit(decode(view, index * size), index);
}

/** Value of an IEEE 754 binary16 number. */
export function decodeFloat16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Nearest IEEE 754 binary16 number, ties to even; NaN becomes the quiet NaN 0x7e00. */
export function encodeFloat16(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  if (Number.isNaN(magnitude)) return 0x7e00;
  if (magnitude >= 65520) return sign | 0x7c00;
  // A subnormal has the exponent of the smallest normal numbers; their spacing is 2^-24.
  const exponent = Math.max(-14, magnitude === 0 ? -14 : exponentOf(magnitude));
  const units = roundTiesToEven(magnitude / 2 ** (exponent - 10));
  // Rounding up to 2048 units carries into the exponent, as it should.
  return sign | ((exponent + 14) * 1024 + units);
}

function decodeBfloat16(bits: number): number {
  WORD.setUint32(0, bits << 16);
  return WORD.getFloat32(0);
}

/** OCP 8-bit floating point, "FN" variant: no infinities, one NaN per sign. */
function decodeFloat8E4M3(bits: number): number {
  const sign = bits & 0x80 ? -1 : 1;
  const exponent = (bits >> 3) & 0xf;
  const fraction = bits & 0x7;
  if (exponent === 0xf && fraction === 0x7) return NaN;
  return exponent === 0 ? sign * fraction * 2 ** -9 : sign * (1 + fraction / 8) * 2 ** (exponent - 7);
}

const WORD = new DataView(new ArrayBuffer(8));

/** Largest e with 2^e <= value, for normal doubles. */
function exponentOf(value: number): number {
  WORD.setFloat64(0, value);
  return ((WORD.getUint32(0) >> 20) & 0x7ff) - 1023;
}

function roundTiesToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  const up = rest > 0.5 || (rest === 0.5 && floor % 2 === 1);
  return up ? floor + 1 : floor;
}
