import type { InputStatistics } from "@quern/statistics";

/** To the bit: much faster for large arrays than `toEqual`. */
export function isSame(a: InputStatistics, b: InputStatistics): boolean {
  return (Object.keys(a) as (keyof InputStatistics)[]).every((key) => {
    const [x, y] = [a[key], b[key]];
    if (!ArrayBuffer.isView(x) || !ArrayBuffer.isView(y)) return x === y;
    return bytesOf(x).equals(bytesOf(y));
  });
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
