import { argumentError } from "../arguments.ts";

/** Codes by a table, in the layout of `code_table` in csrc/math/tile-codes.h. */
export interface CodeTable {
  readonly bytes: Uint8Array;
  /** Keys are divided among so many codes; one code may have several ranges. */
  readonly levels: number;
}

export interface CodeTableParams {
  /** By code, F32; what no code means may be NaN. At most 256. */
  readonly values: Float32Array;
  /** The code of an F32 number, which may be infinite. Codes that follow each other must follow each other in the order of numbers. */
  readonly encode: (x: number) => number;
}

const MOST_LEVELS = 256;
const INFINITY_BITS = 0x7f800000;

const bits = new Int32Array(1);
const float = new Float32Array(bits.buffer);

/** The float whose place in the order of floats is `key`; -0 is below +0. */
function floatOf(key: number): number {
  bits[0] = key < 0 ? key ^ 0x7fffffff : key;
  return float[0]!;
}

/**
 * Finds out by trial from which F32 numbers on `encode` gives another code.
 *
 * @throws QuernError `KERNEL_ARGUMENT` for more than 256 codes
 */
export function codeTable({ values, encode }: CodeTableParams): CodeTable {
  const bytes = new Uint8Array(4 * 4 * MOST_LEVELS);
  const part = (index: number): [ArrayBuffer, number, number] => [
    bytes.buffer,
    4 * MOST_LEVELS * index,
    MOST_LEVELS,
  ];
  const thresholds = new Int32Array(...part(0)).fill(0x7fffffff);
  const codes = new Int32Array(...part(1));
  const byRank = new Float32Array(...part(2));
  const byCode = new Float32Array(...part(3));
  if (values.length > MOST_LEVELS) throw argumentError(`tables have at most ${MOST_LEVELS} codes`);
  let levels = 0;
  const add = (code: number): void => {
    if (levels === MOST_LEVELS) throw argumentError(`tables have at most ${MOST_LEVELS} levels`);
    codes[levels] = code;
    byRank[levels] = values[code]!;
    levels++;
  };
  /** Everything above `low`, whose code is known, up to `high`. */
  const divide = (low: number, lowCode: number, high: number, highCode: number): void => {
    if (lowCode === highCode) return;
    if (high - low === 1) {
      thresholds[levels - 1] = low;
      add(highCode);
      return;
    }
    const middle = Math.floor((low + high) / 2);
    const code = encode(floatOf(middle));
    divide(low, lowCode, middle, code);
    divide(middle, code, high, highCode);
  };
  const [low, high] = [~INFINITY_BITS, INFINITY_BITS];
  add(encode(-Infinity));
  divide(low, codes[0]!, high, encode(Infinity));
  byCode.set(values);
  return { bytes, levels };
}
