import { type ElementCodec, notRepresentable } from "./element-codec.ts";
import type { SmallFloat } from "./small-float.ts";

export const F64_CODEC: ElementCodec = {
  decode(bytes, into) {
    for (let i = 0; i < into.length; i++) into[i] = bytes.getFloat64(8 * i, true);
  },
  encode(values, into) {
    for (let i = 0; i < values.length; i++) into.setFloat64(8 * i, values[i]!, true);
  },
};

export const F32_CODEC: ElementCodec = {
  decode(bytes, into) {
    for (let i = 0; i < into.length; i++) into[i] = bytes.getFloat32(4 * i, true);
  },
  encode(values, into) {
    for (let i = 0; i < values.length; i++) into.setFloat32(4 * i, values[i]!, true);
  },
};

/** Formats of two bytes. */
export function twoByteCodec(format: SmallFloat): ElementCodec {
  const values = decodedCodes(format);
  return {
    decode(bytes, into) {
      const table = values();
      for (let i = 0; i < into.length; i++) into[i] = table[bytes.getUint16(2 * i, true)]!;
    },
    encode(elements, into, saturate) {
      for (let i = 0; i < elements.length; i++) {
        into.setUint16(2 * i, format.encode(elements[i]!, saturate), true);
      }
    },
  };
}

/** Formats of one byte. */
export function oneByteCodec(format: SmallFloat): ElementCodec {
  const values = decodedCodes(format);
  return {
    decode(bytes, into) {
      const table = values();
      for (let i = 0; i < into.length; i++) into[i] = table[bytes.getUint8(i)]!;
    },
    encode(elements, into, saturate) {
      for (let i = 0; i < elements.length; i++) into.setUint8(i, format.encode(elements[i]!, saturate));
    },
  };
}

/** Formats of four bits, two elements a byte, the first in the low nibble; an odd last byte has a high nibble of 0. */
export function halfByteCodec(format: SmallFloat): ElementCodec {
  const values = decodedCodes(format);
  const encode = (elements: ArrayLike<number>, index: number, saturate: boolean): number => {
    if (index >= elements.length) return 0;
    const code = format.encode(elements[index]!, saturate);
    if (code < 0) throw notRepresentable(index, elements[index]!, "a number, the format has no NaN");
    return code;
  };
  return {
    decode(bytes, into) {
      const table = values();
      for (let i = 0; i < into.length; i++) {
        const pair = bytes.getUint8(i >>> 1);
        into[i] = table[i % 2 === 0 ? pair & 0xf : pair >>> 4]!;
      }
    },
    encode(elements, into, saturate) {
      for (let i = 0; i < elements.length; i += 2) {
        into.setUint8(i >>> 1, encode(elements, i, saturate) | (encode(elements, i + 1, saturate) << 4));
      }
    },
  };
}

/** The value of every code, made when first asked for. Every value of a small format is a float32. */
function decodedCodes(format: SmallFloat): () => Float32Array {
  let table: Float32Array | undefined;
  return () => (table ??= Float32Array.from({ length: 2 ** format.bits }, (_, code) => format.decode(code)));
}
