/**
 * The alphabet of byte-level BPE (GPT-2): the 188 printable Latin-1 characters stand for their own byte, the other bytes in
 * ascending order for U+0100, U+0101, ...
 */
export const CHARACTER_BYTES: ReadonlyMap<string, number> = characterBytes();

function characterBytes(): Map<string, number> {
  const alphabet = new Map<string, number>();
  let next = 0x100;
  for (let byte = 0; byte < 256; byte++) {
    const printable =
      (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
    alphabet.set(String.fromCharCode(printable ? byte : next++), byte);
  }
  return alphabet;
}
