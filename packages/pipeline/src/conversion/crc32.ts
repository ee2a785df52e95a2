/** The polynomial of CRC-32, lowest power in the highest bit (RFC 1952, section 8). */
const POLYNOMIAL = 0xedb88320;

/** x^(2^i) modulo the polynomial. */
const POWERS: readonly number[] = powers();

/**
 * CRC-32 of two runs of bytes one behind the other, from those of each: that of the first times x^(8 n), where n are the bytes of the
 * second, plus that of the second (Mark Adler's way in zlib, crc32.c: `crc32_combine`).
 *
 * @param params.bytes Of the second run.
 */
export function joinCrc32(params: { first: number; second: number; bytes: number }): number {
  const { first, second, bytes } = params;
  let factor = 0x80000000;
  for (let left = bytes, power = 3; left > 0; left = Math.floor(left / 2), power++) {
    if (left % 2 === 1) factor = multiply(POWERS[power % POWERS.length]!, factor);
  }
  return (multiply(factor, first) ^ second) >>> 0;
}

/** Product of polynomials, modulo the one of CRC-32. */
function multiply(a: number, b: number): number {
  let product = 0;
  let shifted = b;
  for (let bit = 31; bit >= 0; bit--) {
    if ((a >>> bit) & 1) product ^= shifted;
    shifted = shifted & 1 ? (shifted >>> 1) ^ POLYNOMIAL : shifted >>> 1;
  }
  return product >>> 0;
}

function powers(): number[] {
  const found = [0x40000000];
  // x^(2^32) is x^(2^0) again: the field has 2^32 elements.
  while (found.length < 32) found.push(multiply(found.at(-1)!, found.at(-1)!));
  return found;
}
