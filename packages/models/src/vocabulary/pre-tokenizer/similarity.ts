/** How much of a text is compared: enough to tell expressions apart, little enough for hostile input. */
const COMPARED_CHARACTERS = 4000;

/** Likeness of two texts from 0 to 1: the share of two-character sequences that they have in common (Sørensen-Dice). */
function similarity(a: string, b: string): number {
  if (a === b) return 1;
  const first = pairs(a);
  const second = pairs(b);
  let total = 0;
  let common = 0;
  for (const count of second.values()) total += count;
  for (const [pair, count] of first) {
    total += count;
    common += Math.min(count, second.get(pair) ?? 0);
  }
  return total === 0 ? 0 : (2 * common) / total;
}

/** The candidate that is most like `text`. */
export function mostSimilar<T>(
  text: string,
  candidates: readonly T[],
  textOf: (candidate: T) => string,
): T | undefined {
  let best: T | undefined;
  let bestScore = -1;
  for (const candidate of candidates) {
    const score = similarity(text, textOf(candidate));
    if (score > bestScore) [best, bestScore] = [candidate, score];
  }
  return best;
}

function pairs(text: string): Map<string, number> {
  const counts = new Map<string, number>();
  const end = Math.min(text.length, COMPARED_CHARACTERS) - 1;
  for (let start = 0; start < end; start++) {
    const pair = text.slice(start, start + 2);
    counts.set(pair, (counts.get(pair) ?? 0) + 1);
  }
  return counts;
}
