import { QuernError } from "@quern/tensor";
import { ALIGNMENT_KEY } from "../alignment.ts";
import { isSplitKey } from "../split/split-keys.ts";
import type { GgufMetadata, GgufValue } from "../value.ts";
import type { GgufChange } from "./edit-metadata.ts";

/** Says why a change breaks a model, or nothing. */
type Rule = (change: GgufChange, metadata: GgufMetadata) => string | undefined;

const VOCABULARY = "tokenizer.ggml.tokens";

/** Arrays with one element for each token (llama-vocab.cpp), and the merges between tokens. */
const VOCABULARY_ARRAYS: ReadonlySet<string> = new Set([
  VOCABULARY,
  "tokenizer.ggml.scores",
  "tokenizer.ggml.token_type",
  "tokenizer.ggml.merges",
]);

const RULES: readonly Rule[] = [
  ({ key }) =>
    key === "general.architecture" ? "every other key and tensor follows the architecture" : undefined,
  ({ key }) =>
    key === ALIGNMENT_KEY ? "the tensor data is laid out for the alignment that the file has" : undefined,
  ({ key }) => (isSplitKey(key) ? "it says which part of a set the file is" : undefined),
  ({ key, before, after }) => {
    if (!VOCABULARY_ARRAYS.has(key) || before?.type !== "array") return undefined;
    const length = after?.type === "array" ? after.length : 0;
    return length === before.length
      ? undefined
      : `the vocabulary has ${before.length} elements here, not ${length}`;
  },
  ({ before, after }) => {
    if (before === undefined || after === undefined) return undefined;
    const [from, to] = [typeOf(before), typeOf(after)];
    return from === to ? undefined : `its type is ${from}, not ${to}`;
  },
  ({ key, after }, metadata) => {
    if (!/^tokenizer\.ggml\.\w+_token_id$/.test(key) || after === undefined || after.type === "array")
      return undefined;
    const tokens = metadata.get(VOCABULARY);
    if (tokens?.type !== "array" || (Number(after.value) >= 0 && Number(after.value) < tokens.length))
      return undefined;
    return `the vocabulary has ${tokens.length} tokens: there is none with the id ${after.value}`;
  },
];

/** @throws QuernError `GGUF_EDIT_REFUSED` for a change that usually breaks a model */
export function checkChange(change: GgufChange, metadata: GgufMetadata): void {
  for (const rule of RULES) {
    const reason = rule(change, metadata);
    if (reason === undefined) continue;
    throw new QuernError(
      "GGUF_EDIT_REFUSED",
      `metadata key "${change.key}": ${reason} (force changes it nevertheless)`,
      { subject: { key: change.key } },
    );
  }
}

function typeOf(value: GgufValue): string {
  return value.type === "array" ? `array of ${value.elements}` : value.type;
}
