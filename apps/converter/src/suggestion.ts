/**
 * The candidate that is most likely meant by a mistyped word, or undefined when none is near: the fewest changes, but one that goes on
 * where the word ends before all others. Case does not count.
 */
export function closest(word: string, candidates: Iterable<string>): string | undefined {
  const typed = word.toUpperCase();
  let best: string | undefined;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const text = candidate.toUpperCase();
    const distance = editDistance(typed, text) - (typed !== "" && text.startsWith(typed) ? 1 : 0);
    // Half the letters wrong is no longer a slip of the finger.
    if (distance < bestDistance && distance * 2 <= Math.max(typed.length, candidate.length)) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Levenshtein distance: insertions, deletions and substitutions of one character. */
function editDistance(left: string, right: string): number {
  let previous = Array.from({ length: right.length + 1 }, (_, column) => column);
  for (let row = 1; row <= left.length; row++) {
    const current = [row];
    for (let column = 1; column <= right.length; column++) {
      const substitution = previous[column - 1]! + (left[row - 1] === right[column - 1] ? 0 : 1);
      current.push(Math.min(substitution, previous[column]! + 1, current[column - 1]! + 1));
    }
    previous = current;
  }
  return previous[right.length]!;
}
