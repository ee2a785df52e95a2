import { addsBos } from "../tokenization/text-tokenizer.ts";
import type { TextTokenizer } from "../tokenization/text-tokenizer.ts";
import type { DocumentTokens } from "./document-tokens.ts";
import type { TokenWindow, WindowSequence } from "./window.ts";

/** Windows of one source by the rule "stream" (tools/imatrix/imatrix.cpp and tools/perplexity/perplexity.cpp of llama.cpp). */
export async function* streamWindows(params: {
  documents: AsyncIterable<DocumentTokens>;
  tokenizer: TextTokenizer;
  length: number;
  source: number;
}): AsyncGenerator<TokenWindow, void, undefined> {
  const { tokenizer, length, source } = params;
  const replacesFirst = addsBos(tokenizer);
  const prefix = Int32Array.from(tokenizer.prefix);
  let window = new Int32Array(length);
  let sequences: WindowSequence[] = [];
  let filled = 0;
  let index = 0;

  for await (const { document, tokens, continues } of params.documents) {
    const begun = continues ? 0 : prefix.length;
    const all = continues ? tokens : Int32Array.from([...prefix, ...tokens]);
    for (let taken = 0; taken < all.length;) {
      if (sequences.at(-1)?.document !== document) {
        const before = Math.max(begun - taken, filled === 0 && replacesFirst ? 1 : 0);
        sequences.push({ document, start: filled, contentStart: Math.min(filled + before, length) });
      }
      const count = Math.min(length - filled, all.length - taken);
      window.set(all.subarray(taken, taken + count), filled);
      taken += count;
      filled += count;
      if (filled < length) continue;
      if (replacesFirst) window[0] = tokenizer.bos!;
      yield { tokens: window, source, index, sequences };
      window = new Int32Array(length);
      sequences = [];
      filled = 0;
      index += 1;
    }
  }
}
