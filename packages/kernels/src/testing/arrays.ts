import { createRandom } from "./random.ts";

/** Normal draws. */
export function gaussian(length: number, seed: number): Float32Array {
  const random = createRandom(seed);
  return Float32Array.from({ length }, () => random.gaussian());
}

/** Whether all bits are the same. NaN counts as NaN whatever its sign: processors differ in that. */
export function sameBits<A extends Float32Array | Float64Array>(found: A, wanted: A): boolean {
  return found.length === wanted.length && found.every((value, i) => Object.is(value, wanted[i]));
}

/** Largest |found - wanted| / (|wanted| + floor); NaN where one of them alone is NaN, or infinities differ. */
export function relativeError(found: ArrayLike<number>, wanted: ArrayLike<number>, floor: number): number {
  let worst = found.length === wanted.length ? 0 : NaN;
  for (let i = 0; i < wanted.length; i++) {
    if (Object.is(found[i], wanted[i])) continue;
    worst = Math.max(worst, Math.abs(found[i]! - wanted[i]!) / (Math.abs(wanted[i]!) + floor));
  }
  return worst;
}

/** Instruction sets with fused multiply-add. Products agree to the bit among them, and among the others. */
export const FUSED: ReadonlySet<string> = new Set(["avx2", "avx512", "neon"]);
