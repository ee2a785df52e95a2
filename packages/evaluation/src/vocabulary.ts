import type { ModelDescription } from "@quern/models";
import { QuernError } from "@quern/tensor";

/** The tokens of a model, by id. */
export interface Vocabulary {
  /** Of the model, for messages. */
  readonly name: string;
  readonly tokens: readonly string[];
}

/** @throws QuernError `TOKENIZER_MISSING`, and what describing the vocabulary of a checkpoint throws */
export function vocabularyOf(name: string, description: ModelDescription): Vocabulary {
  const tokens = description.metadata({ fileType: 0 }).get("tokenizer.ggml.tokens");
  if (tokens?.type === "array") return { name, tokens: Array.from(tokens, String) };
  throw new QuernError("TOKENIZER_MISSING", `${name} has no vocabulary: expected tokenizer.ggml.tokens`, {
    subject: { file: name, key: "tokenizer.ggml.tokens" },
  });
}

/** SHA-256 in hexadecimal of the tokens in order. */
export async function vocabularyHash({ tokens }: Vocabulary): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(JSON.stringify(tokens)));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Probabilities can be compared token by token only where an id is the same token for both.
 *
 * @throws QuernError `EVALUATION_VOCABULARY_MISMATCH`
 */
export function checkSameVocabulary(model: Vocabulary, reference: Vocabulary): void {
  const [own, others] = [model.tokens, reference.tokens];
  if (own.length !== others.length) {
    throw vocabularyMismatch(
      model.name,
      `it has ${own.length} tokens, and the reference ${reference.name} has ${others.length}`,
    );
  }
  const id = own.findIndex((token, index) => token !== others[index]);
  if (id < 0) return;
  throw vocabularyMismatch(
    model.name,
    `token ${id} is ${JSON.stringify(own[id])}, and of the reference ${reference.name} it is ${JSON.stringify(others[id])}`,
  );
}

export function vocabularyMismatch(name: string, difference: string): QuernError {
  return new QuernError(
    "EVALUATION_VOCABULARY_MISMATCH",
    `${name} cannot be compared: ${difference}. Expected the same vocabulary`,
    { subject: { file: name, key: "tokenizer.ggml.tokens" } },
  );
}
