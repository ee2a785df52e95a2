/**
 * Uniform numbers in [0, 1) that a seed and an index decide: the same whatever the order in which they are asked for. The mixing function is
 * that of MurmurHash3 (Appleby 2011), applied twice.
 */
export function uniformAt(seed: number, index: number): number {
  const high = Math.floor(index / 2 ** 32);
  return mix((mix((index | 0) ^ mix(seed | 0)) + high) | 0) / 2 ** 32;
}

function mix(value: number): number {
  let bits = value ^ (value >>> 16);
  bits = Math.imul(bits, 0x85ebca6b);
  bits ^= bits >>> 13;
  bits = Math.imul(bits, 0xc2b2ae35);
  bits = (bits + 0x9e3779b9) | 0;
  return (bits ^ (bits >>> 16)) >>> 0;
}
