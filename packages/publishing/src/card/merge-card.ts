import { frontMatter } from "@quern/pipeline/cards";
import { QuernError } from "@quern/tensor";
import { type Document, isMap, isSeq, parseDocument } from "yaml";

/** A model card before it is text. */
export interface Card {
  /** Front matter. */
  readonly metadata: Readonly<Record<string, unknown>>;
  /** Markdown behind it. */
  readonly body: string;
}

const BEGIN = "<!-- quern:begin -->";
const END = "<!-- quern:end -->";

/**
 * The text of a card. What is ours stands between two marks: of a card that is there already, only that is replaced, or added at its end.
 * Its front matter keeps what it says, and gets what it lacks.
 *
 * @param existing Text of the README.md that is there.
 * @throws QuernError `PUBLISH_CARD_MALFORMED` for front matter that cannot be read
 */
export function mergeCard(existing: string | undefined, { metadata, body }: Card): string {
  const ours = `${BEGIN}\n${body.trim()}\n${END}`;
  if (existing === undefined || existing.trim() === "") return `${frontMatter(metadata)}\n\n${ours}\n`;
  const { matter, text } = dividedCard(existing);
  const head = matter === undefined ? frontMatter(metadata) : `---\n${mergedMetadata(matter, metadata)}---`;
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  const isMarked = begin >= 0 && end > begin;
  const merged = isMarked
    ? `${text.slice(0, begin)}${ours}${text.slice(end + END.length)}`
    : `${text.trimEnd()}\n\n${ours}`;
  return `${head}\n\n${merged.trim()}\n`;
}

/** What an earlier publication wrote into a card; "" when there is nothing of that kind. */
export function markedSection(existing: string | undefined): string {
  const text = existing ?? "";
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  return begin >= 0 && end > begin ? text.slice(begin + BEGIN.length, end) : "";
}

/** Takes the text of a card apart. */
export function dividedCard(card: string): { readonly matter: string | undefined; readonly text: string } {
  const found = /^---[ \t]*\r?\n([\s\S]*?)(?:^|\r?\n)---[ \t]*(?:\r?\n|$)/.exec(card);
  if (found === null) return { matter: undefined, text: card };
  return { matter: found[1]!, text: card.slice(found[0].length) };
}

/** Comments and order of what is there stay. Lists get the members that they lack. */
function mergedMetadata(matter: string, metadata: Card["metadata"]): string {
  const document: Document = parseDocument(matter, { logLevel: "silent" });
  const problem = document.errors[0];
  if (problem !== undefined || (document.contents !== null && !isMap(document.contents))) {
    throw new QuernError(
      "PUBLISH_CARD_MALFORMED",
      `The front matter of the repository's README.md is no YAML that can be added to${problem === undefined ? "" : `: ${problem.message}`}. Mend it, or take it out.`,
      { subject: { file: "README.md" }, cause: problem },
    );
  }
  for (const [key, value] of Object.entries(metadata)) {
    const there = document.get(key);
    if (there === undefined) document.set(key, document.createNode(value));
    else if (Array.isArray(value) && isSeq(there)) {
      const known: unknown[] = there.toJSON();
      for (const one of value) if (!known.includes(one)) there.add(one);
    }
  }
  return document.toString({ lineWidth: 0 });
}
