/** Codes of a symmetric 8-bit grid, 0 at 128, as two's complement, and back. */
export function exchangeSign(codes: Uint8Array): Uint8Array {
  const exchanged = new Uint8Array(codes.length);
  for (let index = 0; index < codes.length; index++) exchanged[index] = codes[index]! ^ 0x80;
  return exchanged;
}
