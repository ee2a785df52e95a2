import { foundTokens } from "./found-tokens.ts";
import type { TokenFinding } from "./found-tokens.ts";
import type { GgufVocabulary } from "./gguf-vocabulary.ts";
import type { SpecialTokenHandling } from "./text-tokenizer.ts";

/** A part of a text: a token that was found in it, or the text between tokens. */
export type Fragment = { readonly token: number } | { readonly text: string };

interface SpecialToken {
  readonly id: number;
  readonly text: string;
  readonly finding: TokenFinding;
}

/**
 * Finds the tokens that are not made by merging, as llama.cpp does (src/llama-vocab.cpp `tokenizer_st_partition`): the longest
 * (in UTF-8 bytes) is searched first, in the text that the ones before it left.
 */
export function specialTokenFragments(
  vocabulary: GgufVocabulary,
): (text: string, specialTokens: SpecialTokenHandling) => Fragment[] {
  const special = specialTokensOf(vocabulary);
  const byFirstUnit = new Map<number, SpecialToken[]>();
  for (const token of special) {
    const unit = token.text.charCodeAt(0);
    const bucket = byFirstUnit.get(unit);
    if (bucket === undefined) byFirstUnit.set(unit, [token]);
    else bucket.push(token);
  }
  return (text, specialTokens) => {
    const present = tokensIn(text, byFirstUnit);
    let fragments: Fragment[] = text === "" ? [] : [{ text }];
    for (const token of special) {
      if (!present.has(token) || (token.finding === "parsed" && specialTokens === "text")) continue;
      fragments = fragments.flatMap((fragment) =>
        "text" in fragment ? splitAt(fragment.text, token) : [fragment],
      );
    }
    return fragments;
  };
}

function specialTokensOf(vocabulary: GgufVocabulary): SpecialToken[] {
  const encoder = new TextEncoder();
  return [...foundTokens(vocabulary)]
    .map(([id, finding]) => {
      const text = vocabulary.tokens[id]!;
      return { id, text, finding, bytes: encoder.encode(text).byteLength };
    })
    .sort((a, b) => b.bytes - a.bytes || a.id - b.id);
}

/** Vocabularies may have thousands of special tokens: one pass finds the few that a text has. */
function tokensIn(
  text: string,
  byFirstUnit: ReadonlyMap<number, readonly SpecialToken[]>,
): Set<SpecialToken> {
  const present = new Set<SpecialToken>();
  for (let position = 0; position < text.length; position++) {
    const candidates = byFirstUnit.get(text.charCodeAt(position));
    if (candidates === undefined) continue;
    for (const token of candidates) if (text.startsWith(token.text, position)) present.add(token);
  }
  return present;
}

function splitAt(text: string, token: SpecialToken): Fragment[] {
  const fragments: Fragment[] = [];
  text.split(token.text).forEach((part, index) => {
    if (index > 0) fragments.push({ token: token.id });
    if (part !== "") fragments.push({ text: part });
  });
  return fragments;
}
