import { codeTable } from "@quern/kernels";
import type { Code } from "./code.ts";

export interface TableCodeOptions {
  readonly bits: number;
  /** By code; NaN for codes that are not used. F32. */
  readonly values: Float32Array;
  /** The code of the value nearest to `x`, which is a weight divided by its scale. */
  readonly encode: (x: number) => number;
  /**
   * Whether weights are multiplied by the reciprocal of the scale, or of 1e-38 where the scale is smaller, in F32, rather than divided.
   * @default false
   */
  readonly reciprocal?: boolean;
}

const { fround } = Math;

/** A reciprocal that is finite. */
const SMALLEST = fround(1e-38);

/** Values of a table times the scale; the scale maps the largest magnitude to the largest value of the table. */
export function tableCode({ bits, values, encode, reciprocal = false }: TableCodeOptions): Code {
  const order = ascending(values);
  const largest = values[order.at(-1)!]!;
  const place = new Int32Array(values.length).fill(-1);
  order.forEach((code, i) => (place[code] = i));
  return {
    bits,
    shift: "none",
    values,
    rule: { kind: "table", table: codeTable({ values, encode }), reciprocal },
    scaleFor: (low, high, store) => store.scaleFor(Math.max(-low, high, 0), largest),
    shiftFrom: () => 0,
    encode: reciprocal
      ? (value, scale) => encode(fround(value * fround(1 / Math.max(scale, SMALLEST))))
      : (value, scale) => encode(fround(value / scale)),
    decode: (code, scale) => fround(values[code]! * scale),
    neighbour(code, up) {
      const step = up ? 1 : -1;
      let i = place[code]! + step;
      while (values[order[i]!] === values[code]) i += step;
      return order[i] ?? code;
    },
  };
}

/**
 * Chooses among the values of a table by the middles between neighbours, in F32: a middle belongs to the smaller value (the rule of
 * bitsandbytes).
 */
export function byMiddles(values: Float32Array): (x: number) => number {
  const order = ascending(values);
  const middles = Float32Array.from(
    order.slice(1),
    (code, i) => fround(values[order[i]!]! + values[code]!) / 2,
  );
  return (x) => {
    let from = 0;
    let to = middles.length;
    while (from < to) {
      const middle = (from + to) >>> 1;
      if (middles[middle]! < x) from = middle + 1;
      else to = middle;
    }
    return order[from]!;
  };
}

/** Codes by their values; of equal values (two zeros) the smaller code comes first. */
function ascending(values: Float32Array): readonly number[] {
  return [...values.keys()]
    .filter((code) => !Number.isNaN(values[code]))
    .sort((a, b) => values[a]! - values[b]! || a - b);
}
