import { SMALL_FLOATS } from "@quern/tensor";

/** How a block stores a scale or a minimum. */
export interface ScaleFormat {
  readonly bytes: number;
  read(block: Uint8Array, at: number): number;
  /** Writes a number that `round` has given. */
  write(block: Uint8Array, at: number, value: number): void;
  /** The nearest number that can be stored; what is too large becomes the largest one. */
  round(value: number): number;
  /** How far, as a share of it, the next one is that makes a difference; or the next ones are twice and half of it. */
  readonly step: number | "doubling";
}

const { F16, F8_E4M3, F8_E8M0 } = SMALL_FLOATS;

let halves: Float32Array | undefined;

function decodeF16(code: number): number {
  halves ??= Float32Array.from({ length: 65536 }, (_, i) => F16.decode(i));
  return halves[code]!;
}

export const F16_SCALE: ScaleFormat = {
  bytes: 2,
  read: (block, at) => decodeF16(block[at]! | (block[at + 1]! << 8)),
  write(block, at, value) {
    const code = F16.encode(value, true);
    block[at] = code & 255;
    block[at + 1] = code >> 8;
  },
  round: (value) => decodeF16(F16.encode(value, true)),
  step: 1 / 64,
};

/** The smallest power of two that E8M0 has; it has no 0. */
const SMALLEST_POWER = 2 ** -127;

/** A power of two, of which ggml takes half: 2^(code - 128), down to 2^-128 (`ggml_e8m0_to_fp32_half` of ggml-impl.h). */
export const HALF_E8M0_SCALE: ScaleFormat = {
  bytes: 1,
  read: (block, at) => 2 ** (block[at]! - 128),
  write(block, at, value) {
    block[at] = F8_E8M0.encode(2 * value, true);
  },
  round: (value) => F8_E8M0.decode(F8_E8M0.encode(Math.max(2 * value, SMALLEST_POWER), true)) / 2,
  step: "doubling",
};

/** An E4M3 number without a sign, of which ggml takes half; the code of NaN is 0 (`ggml_ue4m3_to_fp32` of ggml-impl.h). */
export const HALF_UE4M3_SCALE: ScaleFormat = {
  bytes: 1,
  read(block, at) {
    const code = block[at]!;
    const magnitude = code & 0x7f;
    // The eighth bit has no meaning, but here.
    if (magnitude === 0x7f) return code === 0x7f ? 0 : 240;
    return F8_E4M3.decode(magnitude) / 2;
  },
  write(block, at, value) {
    block[at] = value === 240 ? 0xff : F8_E4M3.encode(2 * value, true);
  },
  round: (value) => F8_E4M3.decode(F8_E4M3.encode(Math.max(2 * value, 0), true)) / 2,
  step: 1 / 8,
};
