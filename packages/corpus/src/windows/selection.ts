import { QuernError } from "@quern/tensor";

/** Which windows of a source are given. What is decided for a window depends on its place alone, not on what else is read. */
export interface WindowSelection {
  /**
   * Every `every`-th window of each source (the last of each `every`) is kept apart: "calibration" gives the others, "hold-out" gives
   * these.
   */
  readonly holdOut?: { readonly every: number; readonly part: "calibration" | "hold-out" };
  /** Gives about this share (0 to 1) of the windows, chosen by the seed (a whole number, 32 bits). */
  readonly sample?: { readonly share: number; readonly seed: number };
}

/**
 * @returns Whether a window is given
 * @throws QuernError `CORPUS_OPTION_INVALID`
 */
export function windowSelector(
  selection: WindowSelection,
): (place: { source: number; index: number }) => boolean {
  const { holdOut, sample } = selection;
  if (holdOut !== undefined && (!Number.isInteger(holdOut.every) || holdOut.every < 2)) {
    throw invalid("holdOut.every", "a whole number from 2 on", holdOut.every);
  }
  if (sample !== undefined && !(sample.share > 0 && sample.share <= 1)) {
    throw invalid("sample.share", "a number above 0, at most 1", sample.share);
  }
  if (sample !== undefined && !Number.isInteger(sample.seed)) {
    throw invalid("sample.seed", "a whole number", sample.seed);
  }
  return ({ source, index }) => {
    if (holdOut !== undefined) {
      const heldOut = index % holdOut.every === holdOut.every - 1;
      if (heldOut !== (holdOut.part === "hold-out")) return false;
    }
    return sample === undefined || hash([sample.seed, source, index]) < sample.share * 2 ** 32;
  };
}

export function invalid(key: string, expected: string, found: unknown): QuernError {
  return new QuernError("CORPUS_OPTION_INVALID", `${key} must be ${expected}, not ${String(found)}.`, {
    subject: { key },
  });
}

/**
 * 32 evenly distributed bits for some numbers of 32 bits: MurmurHash3_x86_32 (Austin Appleby, public domain,
 * github.com/aappleby/smhasher) of them as little-endian words with seed 0.
 */
export function hash(words: readonly number[]): number {
  let state = 0;
  for (const word of words) {
    let mixed = Math.imul(word, 0xcc9e2d51);
    mixed = (mixed << 15) | (mixed >>> 17);
    state ^= Math.imul(mixed, 0x1b873593);
    state = (state << 13) | (state >>> 19);
    state = (Math.imul(state, 5) + 0xe6546b64) | 0;
  }
  state ^= 4 * words.length;
  state = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
  state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
  return (state ^ (state >>> 16)) >>> 0;
}
