import { type ElementCodec, notRepresentable } from "./element-codec.ts";

/** Reader and writer of one integer in a DataView, such as those of `getInt16`. */
interface IntegerAccess {
  readonly bytes: number;
  readonly min: number;
  readonly max: number;
  readonly get: (view: DataView, offset: number) => number;
  readonly set: (view: DataView, offset: number, value: number) => void;
}

function integerCodec(access: IntegerAccess): ElementCodec {
  const { bytes: width, min, max, get, set } = access;
  return {
    decode(bytes, into) {
      for (let i = 0; i < into.length; i++) into[i] = get(bytes, width * i);
    },
    encode(values, into) {
      for (let i = 0; i < values.length; i++) {
        const value = values[i]!;
        if (!Number.isInteger(value) || value < min || value > max) {
          throw notRepresentable(i, value, `an integer from ${min} to ${max}`);
        }
        set(into, width * i, value);
      }
    },
  };
}

export const I8_CODEC: ElementCodec = integerCodec({
  bytes: 1,
  min: -(2 ** 7),
  max: 2 ** 7 - 1,
  get: (view, offset) => view.getInt8(offset),
  set: (view, offset, value) => view.setInt8(offset, value),
});

export const I16_CODEC: ElementCodec = integerCodec({
  bytes: 2,
  min: -(2 ** 15),
  max: 2 ** 15 - 1,
  get: (view, offset) => view.getInt16(offset, true),
  set: (view, offset, value) => view.setInt16(offset, value, true),
});

export const I32_CODEC: ElementCodec = integerCodec({
  bytes: 4,
  min: -(2 ** 31),
  max: 2 ** 31 - 1,
  get: (view, offset) => view.getInt32(offset, true),
  set: (view, offset, value) => view.setInt32(offset, value, true),
});

export const U8_CODEC: ElementCodec = integerCodec({
  bytes: 1,
  min: 0,
  max: 2 ** 8 - 1,
  get: (view, offset) => view.getUint8(offset),
  set: (view, offset, value) => view.setUint8(offset, value),
});

export const U16_CODEC: ElementCodec = integerCodec({
  bytes: 2,
  min: 0,
  max: 2 ** 16 - 1,
  get: (view, offset) => view.getUint16(offset, true),
  set: (view, offset, value) => view.setUint16(offset, value, true),
});

export const U32_CODEC: ElementCodec = integerCodec({
  bytes: 4,
  min: 0,
  max: 2 ** 32 - 1,
  get: (view, offset) => view.getUint32(offset, true),
  set: (view, offset, value) => view.setUint32(offset, value, true),
});

export const I64_CODEC: ElementCodec = wideCodec({
  min: -(2 ** 63),
  end: 2 ** 63,
  high: (view, offset) => view.getInt32(offset, true),
});

export const U64_CODEC: ElementCodec = wideCodec({
  min: 0,
  end: 2 ** 64,
  high: (view, offset) => view.getUint32(offset, true),
});

function wideCodec(range: {
  min: number;
  /** One past the largest value. */
  end: number;
  high: (view: DataView, offset: number) => number;
}): ElementCodec {
  const { min, end, high } = range;
  return {
    decode(bytes, into) {
      const narrow = into instanceof Float32Array;
      for (let i = 0; i < into.length; i++) {
        const upper = high(bytes, 8 * i + 4) * 2 ** 32;
        const lower = bytes.getUint32(8 * i, true);
        into[i] = upper + (narrow && Math.abs(upper) >= 2 ** 53 ? toOdd(lower) : lower);
      }
    },
    encode(values, into) {
      for (let i = 0; i < values.length; i++) {
        const value = values[i]!;
        if (!Number.isInteger(value) || value < min || value >= end) {
          throw notRepresentable(i, value, `an integer from ${min} to below ${end}`);
        }
        into.setBigUint64(8 * i, BigInt.asUintN(64, BigInt(value)), true);
      }
    },
  };
}

/**
 * A multiple of 2048 that stands for the lower half of an integer of 2^53 or more on its way through float64 to float32.
 *
 * Rounding twice would go wrong near ties. Such integers are multiples of at least 2^30 apart in float32, so that only
 * whether the low bits are zero matters; kept as one odd bit they let the sum with the upper half be exact.
 */
function toOdd(lower: number): number {
  const rest = lower % 4096;
  return rest === 0 ? lower : lower - rest + 2048;
}

/** Bytes other than 0 count as true. */
export const BOOL_CODEC: ElementCodec = {
  decode(bytes, into) {
    for (let i = 0; i < into.length; i++) into[i] = bytes.getUint8(i) === 0 ? 0 : 1;
  },
  encode(values, into) {
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!;
      if (value !== 0 && value !== 1) throw notRepresentable(i, value, "0 or 1");
      into.setUint8(i, value);
    }
  },
};
