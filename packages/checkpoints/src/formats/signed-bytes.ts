/** Codes of a symmetric 8-bit grid, 0 at 128, as two's complement, and back. */
export function exchangeSign(codes: Uint8Array): Uint8Array {
  return codes.map((code) => code ^ 0x80);
}
