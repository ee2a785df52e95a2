import { collectWindows, type TextSource, type TextTokenizer } from "@quern/corpus";
import { type EvaluationRule, usesSpecialTokens } from "./evaluation-rule.ts";

/** Tokens that are scored together. */
export interface EvaluationWindow {
  /** As many as the rule says. */
  readonly tokens: Int32Array;
  /** Index of the domain. */
  readonly domain: number;
}

/** Texts as they are scored. */
export interface EvaluationCorpus {
  readonly rule: EvaluationRule;
  /** SHA-256 of the windows and of how they were cut. */
  readonly hash: string;
  /** Name of the tokenizer. */
  readonly tokenizer: string;
  /** Names of the texts. */
  readonly domains: readonly string[];
  readonly windows: readonly EvaluationWindow[];
}

/**
 * Cuts texts in windows by the rule "stream" of @quern/corpus; each text is a domain.
 *
 * @param params.limit Windows after which to stop; texts take turns. Default: all.
 * @throws QuernError what `collectWindows` throws: `CORPUS_EMPTY`, `CORPUS_TOO_SHORT` for a text with less than a window, ...
 */
export async function evaluationWindows(params: {
  readonly sources: readonly TextSource[];
  readonly tokenizer: TextTokenizer;
  readonly rule: EvaluationRule;
  readonly vocabularySize: number;
  readonly limit?: number;
}): Promise<EvaluationCorpus> {
  const { tokenizer, rule, ...options } = params;
  const { windows, summary } = await collectWindows({
    ...options,
    tokenizer: usesSpecialTokens(rule) ? tokenizer : bare(tokenizer),
    rule: { kind: "stream", length: rule.context },
  });
  return {
    rule,
    hash: summary.hash,
    tokenizer: tokenizer.name,
    domains: summary.sources.map(({ name }) => baseName(name)),
    windows: windows.map(({ tokens, source }) => ({ tokens, domain: source })),
  };
}

/** A tokenizer that puts nothing around texts. */
function bare(tokenizer: TextTokenizer): TextTokenizer {
  return {
    name: tokenizer.name,
    vocabularySize: tokenizer.vocabularySize,
    bos: tokenizer.bos,
    eos: tokenizer.eos,
    prefix: [],
    suffix: [],
    encode: (text, specialTokens) => tokenizer.encode(text, specialTokens),
  };
}

/** Folders say nothing of a text. */
function baseName(path: string): string {
  return path.replace(/^.*[\\/](?=[^\\/])/, "");
}
