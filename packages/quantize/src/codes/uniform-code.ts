import { QuernError } from "@quern/tensor";
import { roundToEven, roundToScaleType, type ScaleType } from "../scale-type.ts";
import type { Code } from "./code.ts";

export interface UniformCodeOptions {
  /** 1 to 8. */
  readonly bits: number;
  /** Whether 0 has a code of its own in the middle of the codes (or, where `unsigned`, code 0), rather than where the range needs it. */
  readonly symmetric: boolean;
  /** Of symmetric codes: all of them, or as many above 0 as below. @default "full" */
  readonly range?: "full" | "restricted";
  /** Of symmetric codes: for values that are never negative. @default false */
  readonly unsigned?: boolean;
  /** Of codes with a whole zero: the smallest that a container can store. @default 0 */
  readonly leastZero?: number;
  /** Of codes that are not symmetric: whether 0 has a code, or the value of code 0 is any number of `offsetType`. @default "integer" */
  readonly zero?: "integer" | "real";
  /** @default "F32" */
  readonly offsetType?: ScaleType;
}

const { fround } = Math;

/**
 * Evenly spaced values, in F32 arithmetic, rounding half to even.
 *
 * - symmetric: `scale * (c - 2^(bits - 1))`; scale = max|w| / (2^(bits - 1) - 1) in the restricted range, so that codes go from 1 on, and
 *   2 max|w| / (2^bits - 1) in the full one, as in GPTQ and compressed-tensors; unsigned: `scale * c`, scale = max / (2^bits - 1).
 * - integer zero: `scale * (c - zero)`, scale = (high - low) / (2^bits - 1) of the range widened to hold 0, zero = -low / scale.
 * - real zero: `scale * c + offset`, offset = low; the range is not widened.
 *
 * @throws QuernError `QUANTIZE_OPTION`
 */
export function uniformCode(options: UniformCodeOptions): Code {
  const { bits, symmetric, range = "full", unsigned = false, zero = "integer" } = options;
  if (!(Number.isInteger(bits) && bits >= 1 && bits <= 8)) {
    throw new QuernError("QUANTIZE_OPTION", `codes have 1 to 8 bits, not ${bits}`);
  }
  if (symmetric) return symmetricCode(bits, range, unsigned);
  if (unsigned || range !== "full") {
    throw new QuernError("QUANTIZE_OPTION", `only symmetric codes can be unsigned or restricted in range`);
  }
  const leastZero = options.leastZero ?? 0;
  if (!(Number.isInteger(leastZero) && leastZero >= 0 && leastZero < 2 ** bits)) {
    throw new QuernError("QUANTIZE_OPTION", `the least zero is one of the codes, not ${leastZero}`);
  }
  return zero === "integer" ? affineCode(bits, leastZero) : offsetCode(bits, options.offsetType ?? "F32");
}

function symmetricCode(bits: number, range: "full" | "restricted", unsigned: boolean): Code {
  if (bits === 1 && range === "restricted") {
    throw new QuernError("QUANTIZE_OPTION", "one bit has no restricted range: 0 would be its only value");
  }
  if (unsigned && range === "restricted") {
    throw new QuernError("QUANTIZE_OPTION", "unsigned codes have no restricted range");
  }
  const count = 2 ** bits;
  const zero = unsigned ? 0 : count / 2;
  const least = range === "restricted" ? 1 : 0;
  const levels = unsigned ? count - 1 : range === "restricted" ? count / 2 - 1 : (count - 1) / 2;
  return {
    ...spaced(least, count - 1),
    bits,
    shift: "fixed",
    scaleFor: (low, high, store) =>
      store.scaleFor(unsigned ? Math.max(high, 0) : Math.max(-low, high), levels),
    shiftFrom: () => zero,
  };
}

function affineCode(bits: number, leastZero: number): Code {
  const most = 2 ** bits - 1;
  const shiftFor = (offset: number, scale: number): number =>
    Math.min(Math.max(roundToEven(fround(-offset / scale)), leastZero), most);
  return {
    ...spaced(0, most),
    bits,
    shift: "zero",
    shiftFor,
    scaleFor: (low, high, store) => store.scaleFor(fround(Math.max(high, 0) - Math.min(low, 0)), most),
    shiftFrom: (low, scale) => shiftFor(Math.min(low, 0), scale),
  };
}

function offsetCode(bits: number, type: ScaleType): Code {
  const most = 2 ** bits - 1;
  const clamp = (code: number): number => Math.min(Math.max(code, 0), most);
  const shiftFor = (offset: number): number => roundToScaleType(type, offset);
  return {
    bits,
    shift: "offset",
    shiftFor,
    scaleFor: (low, high, store) => store.scaleFor(fround(high - low), most),
    shiftFrom: (low) => shiftFor(low),
    rule: { kind: "offset", least: 0, most },
    encode: (value, scale, offset) => clamp(roundToEven(fround(fround(value - offset) / scale))),
    decode: (code, scale, offset) => fround(fround(scale * code) + offset),
    neighbour: (code, up) => clamp(up ? code + 1 : code - 1),
  };
}

function spaced(least: number, most: number): Pick<Code, "rule" | "encode" | "decode" | "neighbour"> {
  const clamp = (code: number): number => Math.min(Math.max(code, least), most);
  return {
    rule: { kind: "zero", least, most },
    encode: (value, scale, zero) => clamp(roundToEven(fround(value / scale)) + zero),
    decode: (code, scale, zero) => fround(scale * (code - zero)),
    neighbour: (code, up) => clamp(up ? code + 1 : code - 1),
  };
}
