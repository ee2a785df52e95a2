// Control characters, and the invisible ones that reorder or hide text: files come from strangers, terminals obey them.
// oxlint-disable-next-line no-control-regex
const unprintable = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/g;

const escapes: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** Text from a file on one line: control characters as escapes. */
export function printable(text: string): string {
  return text.replace(
    unprintable,
    (character) => escapes[character] ?? `\\u{${character.codePointAt(0)!.toString(16)}}`,
  );
}

/** At most `length` characters (code points); what is cut off is marked by "…". */
export function shorten(text: string, length: number): string {
  // A code point is at most two code units: no need to split a megabyte to show sixty characters.
  const characters = Array.from(text.slice(0, 2 * length + 2));
  return characters.length <= length ? text : `${characters.slice(0, length - 1).join("")}…`;
}

/** At most `length` characters, cut in the middle: the two ends of a tensor name say most. */
export function shortenMiddle(text: string, length: number): string {
  if (text.length <= length) {
    return text;
  }
  const head = Math.ceil((length - 1) / 2);
  return `${text.slice(0, head)}…${text.slice(text.length - (length - 1 - head))}`;
}
