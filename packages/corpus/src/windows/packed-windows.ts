import type { TextTokenizer } from "../tokenization/text-tokenizer.ts";
import type { DocumentTokens } from "./document-tokens.ts";
import type { TokenWindow, WindowSequence } from "./window.ts";

/**
 * Windows of one source by the rule "packed". All but the last have `length` tokens; to keep it so, BOS may stand alone at the end of
 * one, where there is no room for what it begins.
 */
export async function* packedWindows(params: {
  documents: AsyncIterable<DocumentTokens>;
  tokenizer: TextTokenizer;
  length: number;
  source: number;
}): AsyncGenerator<TokenWindow, void, undefined> {
  const { length, source } = params;
  const prefix = Int32Array.from(params.tokenizer.prefix);
  let window = new Int32Array(length);
  let sequences: WindowSequence[] = [];
  let filled = 0;
  let index = 0;

  const put = (tokens: Int32Array): number => {
    const count = Math.min(length - filled, tokens.length);
    window.set(tokens.subarray(0, count), filled);
    filled += count;
    return count;
  };
  const finish = (): TokenWindow => {
    const tokens = filled === length ? window : window.slice(0, filled);
    const finished: TokenWindow = { tokens, source, index, sequences };
    window = new Int32Array(length);
    sequences = [];
    filled = 0;
    index += 1;
    return finished;
  };

  for await (const { document, tokens } of params.documents) {
    for (let taken = 0; taken < tokens.length;) {
      if (filled === length) yield finish();
      if (sequences.at(-1)?.document !== document) {
        const start = filled;
        put(prefix);
        sequences.push({ document, start, contentStart: filled });
      }
      taken += put(tokens.subarray(taken));
    }
  }
  if (filled > 0) yield finish();
}
