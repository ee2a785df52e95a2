import { isJsonObject } from "../json-file.ts";
import type { JsonObject } from "../json-file.ts";
import { tokenContent } from "./named-special-tokens.ts";
import { applyPostProcessor } from "./post-processor.ts";
import type { SpecialTokenState } from "./post-processor.ts";
import { TOKENIZER_CONFIG, malformedTokenizer } from "./tokenizer-files.ts";
import type { TokenizerFiles } from "./tokenizer-files.ts";

/** The roles that every vocabulary is asked for, in the order of the reference converter. */
export const COMMON_ROLES: readonly string[] = ["bos", "eos", "unk", "sep", "pad", "cls", "mask"];

export interface SpecialTokens {
  /** Role -> token id, in the order in which the roles were settled. */
  readonly ids: ReadonlyMap<string, number>;
  /** Role -> whether that token is put around every text. */
  readonly added: ReadonlyMap<string, boolean>;
}

/**
 * Ids of the special tokens (gguf-py vocab.py, `SpecialVocab`): a token that tokenizer_config.json names and tokenizer.json has
 * counts first, then the id in config.json, then `fallbacks`.
 *
 * @param roles "bos", "eos", ...: what is looked up
 * @param vocabularySize Ids from here on are left out
 * @param fallbacks Ids for roles that no file settles
 * @throws QuernError `TOKENIZER_MALFORMED` for a negative id
 */
export function readSpecialTokens(params: {
  files: TokenizerFiles;
  config: JsonObject;
  roles: readonly string[];
  vocabularySize?: number;
  fallbacks?: ReadonlyMap<string, number>;
}): SpecialTokens {
  const { files, config, vocabularySize = Number.POSITIVE_INFINITY } = params;
  const ids = new Map<string, number>();
  const settle = (role: string, id: unknown, file: string): void => {
    if (typeof id !== "number" || !Number.isInteger(id)) return;
    if (id < 0) throw malformedTokenizer({ file, key: `${role}_token_id` }, `a token id, not ${id}`);
    if (id < vocabularySize && !ids.has(role)) ids.set(role, id);
  };

  const state: SpecialTokenState = {
    entries: { ...files.tokenizerConfig },
    hasConfig: Object.keys(files.tokenizerConfig ?? {}).length > 0,
    roles: [...params.roles],
    added: new Map(),
  };
  if (files.tokenizer !== undefined) applyPostProcessor(files.tokenizer.postProcessor, state);
  if (state.hasConfig) {
    const idsByContent = new Map(
      files.tokenizer?.addedTokens.toReversed().map((token) => [token.content, token.id]),
    );
    for (const role of state.roles) {
      const added = state.entries[`add_${role}_token`];
      if (typeof added === "boolean") state.added.set(role, added);
      const content = tokenContent(state.entries[`${role}_token`]);
      if (content !== undefined) settle(role, idsByContent.get(content), TOKENIZER_CONFIG);
    }
  }
  const textConfig = isJsonObject(config["text_config"]) ? config["text_config"] : {};
  for (const role of state.roles) {
    const key = `${role}_token_id`;
    settle(role, config[key] ?? textConfig[key], "config.json");
  }
  for (const [role, id] of params.fallbacks ?? []) settle(role, id, "config.json");
  return { ids, added: state.added };
}
