import { SMALL_FLOATS, type SmallFloatType } from "@quern/tensor";
import type { Code } from "./code.ts";
import { tableCode } from "./table-code.ts";

/** The finite numbers of a small float type times the scale; nearest, ties to even, saturating. Codes are the bits of the type. */
export function floatCode(type: Extract<SmallFloatType, "F8_E4M3" | "F8_E5M2" | "F4">): Code {
  const float = SMALL_FLOATS[type];
  const values = Float32Array.from({ length: 2 ** float.bits }, (_, code) => {
    const value = float.decode(code);
    return Number.isFinite(value) ? value : Number.NaN;
  });
  return tableCode({ bits: float.bits, values, encode: (x) => float.encode(x, true) });
}
