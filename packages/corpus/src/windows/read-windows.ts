import { QuernError } from "@quern/tensor";
import type { TextSource } from "../documents/document.ts";
import type { TextTokenizer } from "../tokenization/text-tokenizer.ts";
import { ContentHash } from "./content-hash.ts";
import { documentTokens } from "./document-tokens.ts";
import type { SourceCounts } from "./document-tokens.ts";
import { packedWindows } from "./packed-windows.ts";
import { invalid, windowSelector } from "./selection.ts";
import type { WindowSelection } from "./selection.ts";
import { streamWindows } from "./stream-windows.ts";
import type { TokenWindow, WindowRule } from "./window.ts";

/** What windows are made of, and how. */
export interface WindowParams extends WindowSelection {
  readonly sources: readonly TextSource[];
  readonly tokenizer: TextTokenizer;
  readonly rule: WindowRule;
  /** Rows of the model's token embedding; tokens from there on are an error. Default: not checked. */
  readonly vocabularySize?: number;
  /** Windows after which to stop. Default: all. */
  readonly limit?: number;
}

/** What a source gave. */
export interface SourceSummary {
  readonly name: string;
  readonly weight: number;
  /** Windows that were given, and the tokens in them. */
  readonly windows: number;
  readonly tokens: number;
  /** Documents that were begun and tokens that were made of them, left-out windows included. */
  readonly documentsRead: number;
  readonly tokensRead: number;
  /** Whether it has no more windows. Sources that end before the others fall short of their weight. */
  readonly exhausted: boolean;
}

/** What was given so far. */
export interface CorpusSummary {
  readonly sources: readonly SourceSummary[];
  readonly windows: number;
  readonly tokens: number;
  /** SHA-256 of the windows, in order, and of the rules that they were made by. */
  readonly hash: string;
}

/** Windows one after another. It can be gone through once. */
export interface WindowStream extends AsyncIterable<TokenWindow> {
  /** What was read, once the stream has ended. */
  summary(): Promise<CorpusSummary>;
}

const RULES = { stream: streamWindows, packed: packedWindows };

/**
 * Cuts texts into windows of tokens. Memory holds a window and a part of a document for each source.
 *
 * Sources take turns: the next window is of the one with the fewest tokens for its weight (the first of equals), so that in
 * whatever is taken from the beginning the shares are right up to one window. Sources that end drop out.
 *
 * @throws QuernError at once `CORPUS_OPTION_INVALID`; while reading `CORPUS_TOO_SHORT` when not a single whole window is there, or
 * when a source has none under the rule "stream"; `CORPUS_EMPTY`, `CORPUS_VOCABULARY_MISMATCH`, `TOKENIZER_INCOMPLETE` and
 * what sources throw
 */
export function readWindows(params: WindowParams): WindowStream {
  const { sources, rule, tokenizer, limit = Number.POSITIVE_INFINITY } = params;
  checkOptions(params);
  const selects = windowSelector(params);
  const hash = new ContentHash(rulesOf(params));
  const readers = sources.map((source, index) => openSource(source, index, params));

  async function* windows(): AsyncGenerator<TokenWindow, void, undefined> {
    let given = 0;
    for (
      let reader = nextReader(readers);
      reader !== undefined && given < limit;
      reader = nextReader(readers)
    ) {
      const { value, done } = await reader.windows.next();
      if (done === true) {
        reader.exhausted = true;
        // Under the rule "stream" all of it has been dropped.
        if (rule.kind === "stream" && reader.wholeWindows === 0) throw tooShort([reader], rule);
        continue;
      }
      if (value.tokens.length === rule.length) reader.wholeWindows += 1;
      if (!selects(value)) continue;
      reader.given += 1;
      reader.givenTokens += value.tokens.length;
      given += 1;
      await hash.add(value);
      yield value;
    }
    const ended = readers.every(({ exhausted }) => exhausted);
    const whole = readers.some(({ wholeWindows }) => wholeWindows > 0);
    if (ended && (given === 0 || !whole)) throw tooShort(readers, rule);
  }

  const iterator = windows();
  return {
    [Symbol.asyncIterator]: () => iterator,
    async summary() {
      return {
        sources: readers.map((reader) => ({
          name: reader.name,
          weight: reader.weight,
          windows: reader.given,
          tokens: reader.givenTokens,
          documentsRead: reader.counts.documents,
          tokensRead: reader.counts.tokens,
          exhausted: reader.exhausted,
        })),
        windows: readers.reduce((sum, { given }) => sum + given, 0),
        tokens: readers.reduce((sum, { givenTokens }) => sum + givenTokens, 0),
        hash: await hash.hex(),
      };
    },
  };

  function openSource(source: TextSource, index: number, { vocabularySize }: WindowParams): SourceReader {
    const counts: SourceCounts = { documents: 0, tokens: 0 };
    const whole = rule.kind === "stream";
    const documents = documentTokens({ source, tokenizer, whole, vocabularySize, counts });
    const cut = RULES[rule.kind]({ documents, tokenizer, length: rule.length, source: index });
    return {
      name: source.name,
      weight: weightOf(source),
      windows: cut,
      counts,
      given: 0,
      givenTokens: 0,
      wholeWindows: 0,
      exhausted: false,
    };
  }
}

/** All windows at once, with the summary. */
export async function collectWindows(
  params: WindowParams,
): Promise<{ windows: TokenWindow[]; summary: CorpusSummary }> {
  const stream = readWindows(params);
  const windows: TokenWindow[] = [];
  for await (const window of stream) windows.push(window);
  return { windows, summary: await stream.summary() };
}

interface SourceReader {
  readonly name: string;
  readonly weight: number;
  readonly windows: AsyncGenerator<TokenWindow, void, undefined>;
  readonly counts: SourceCounts;
  given: number;
  givenTokens: number;
  wholeWindows: number;
  exhausted: boolean;
}

function nextReader(readers: readonly SourceReader[]): SourceReader | undefined {
  let next: SourceReader | undefined;
  for (const reader of readers) {
    if (reader.exhausted) continue;
    if (next === undefined || reader.givenTokens * next.weight < next.givenTokens * reader.weight)
      next = reader;
  }
  return next;
}

/** In arrays, so that the order in which a caller names options changes no hash. */
function rulesOf({ sources, rule, holdOut, sample }: WindowParams): unknown {
  return {
    format: 1,
    rule: [rule.kind, rule.length],
    weights: sources.map(weightOf),
    holdOut: holdOut === undefined ? null : [holdOut.every, holdOut.part],
    sample: sample === undefined ? null : [sample.share, sample.seed],
  };
}

function weightOf({ weight = 1 }: TextSource): number {
  return weight;
}

function checkOptions({ sources, rule, tokenizer, limit }: WindowParams): void {
  if (sources.length === 0) throw invalid("sources", "at least one source", "none");
  for (const source of sources) {
    const weight = weightOf(source);
    if (!(weight > 0 && Number.isFinite(weight)))
      throw invalid(`weight of ${source.name}`, "above 0", weight);
  }
  const shortest = Math.max(2, tokenizer.prefix.length + 1);
  if (!Number.isInteger(rule.length) || rule.length < shortest) {
    throw invalid("rule.length", `a whole number from ${shortest} on`, rule.length);
  }
  if (limit !== undefined && !(limit >= 1)) throw invalid("limit", "at least 1", limit);
}

function tooShort(readers: readonly SourceReader[], rule: WindowRule): QuernError {
  const made = readers.map(({ name, counts }) => `${name} has ${counts.tokens} tokens`).join(", ");
  const whole = readers.reduce((sum, { wholeWindows }) => sum + wholeWindows, 0);
  const reason =
    whole > 0
      ? `none of the ${whole} windows is in the part or sample that is asked for`
      : `a window takes ${rule.length}`;
  return new QuernError("CORPUS_TOO_SHORT", `Too little text: ${made}; ${reason}.`, {
    subject: readers.length === 1 ? { file: readers[0]!.name } : {},
  });
}
