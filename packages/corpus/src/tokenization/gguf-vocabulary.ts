import { QuernError } from "@quern/tensor";

/** A metadata value: a scalar with its `value`, or an array that gives its elements. `@quern/gguf` reads files into this shape. */
export type MetadataValue = { readonly value?: unknown } & Partial<Iterable<unknown>>;

/** Metadata of a GGUF file, or what `describeVocabulary` of `@quern/models` makes of a checkpoint. */
export type VocabularyMetadata = ReadonlyMap<string, MetadataValue>;

/** `enum llama_token_type` (llama.h). */
export const TOKEN_TYPE = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/** The tokens of a GGUF file. The index is the token id. */
export interface GgufVocabulary {
  readonly name: string;
  /** `tokenizer.ggml.model`: "llama", "gpt2", ... */
  readonly model: string;
  /** `tokenizer.ggml.pre`; "default" when there is none. */
  readonly pre: string;
  readonly tokens: readonly string[];
  /** Values of {@link TOKEN_TYPE}; all normal when the file does not say. */
  readonly types: readonly number[];
  /** All zero when the file does not say. */
  readonly scores: readonly number[];
  readonly merges: readonly string[];
  readonly bos: number | undefined;
  readonly eos: number | undefined;
  readonly addsBos: boolean | undefined;
  readonly addsEos: boolean | undefined;
  readonly addsSpacePrefix: boolean | undefined;
}

const PREFIX = "tokenizer.ggml.";

/**
 * Reads the `tokenizer.ggml.*` keys.
 *
 * @param params.name File name, for messages.
 * @throws QuernError `TOKENIZER_MISSING` without tokens, `TOKENIZER_MALFORMED` for a key of another type or length
 */
export function readGgufVocabulary(params: { name: string; metadata: VocabularyMetadata }): GgufVocabulary {
  const { name, metadata } = params;
  const reader = { name, metadata };
  const model = scalar(reader, "model", "string");
  const tokens = array(reader, "tokens", "string");
  if (model === undefined || tokens === undefined || tokens.length === 0) {
    throw new QuernError(
      "TOKENIZER_MISSING",
      `${name} has no vocabulary (${PREFIX}model, ${PREFIX}tokens).`,
      {
        subject: { file: name },
      },
    );
  }
  const perToken = (key: string, otherwise: number): readonly number[] => {
    const values = array(reader, key, "number");
    if (values === undefined) return tokens.map(() => otherwise);
    if (values.length >= tokens.length) return values;
    throw malformed(
      reader,
      key,
      `an array of ${tokens.length} numbers, one for each token, not ${values.length}`,
    );
  };
  const id = (key: string): number | undefined => {
    const value = scalar(reader, key, "number");
    // The type is unsigned: a missing token is written as the largest number.
    return value !== undefined && value >= 0 && value < tokens.length ? value : undefined;
  };
  return {
    name,
    model,
    pre: scalar(reader, "pre", "string") || "default",
    tokens,
    types: perToken("token_type", TOKEN_TYPE.normal),
    scores: perToken("scores", 0),
    merges: array(reader, "merges", "string") ?? [],
    bos: id("bos_token_id"),
    eos: id("eos_token_id"),
    addsBos: scalar(reader, "add_bos_token", "boolean"),
    addsEos: scalar(reader, "add_eos_token", "boolean"),
    addsSpacePrefix: scalar(reader, "add_space_prefix", "boolean"),
  };
}

interface Types {
  string: string;
  number: number;
  boolean: boolean;
}

interface Reader {
  readonly name: string;
  readonly metadata: VocabularyMetadata;
}

function scalar<T extends keyof Types>(reader: Reader, key: string, type: T): Types[T] | undefined {
  const value = reader.metadata.get(PREFIX + key)?.value;
  if (value === undefined) return undefined;
  if (typeof value === type) return value as Types[T];
  throw malformed(reader, key, `a ${type}`);
}

function array<T extends keyof Types>(reader: Reader, key: string, type: T): Types[T][] | undefined {
  const value = reader.metadata.get(PREFIX + key);
  if (value === undefined) return undefined;
  if (typeof value[Symbol.iterator] !== "function") throw malformed(reader, key, `an array of ${type}s`);
  const elements = [...(value as Iterable<unknown>)];
  if (elements.every((element) => typeof element === type)) return elements as Types[T][];
  throw malformed(reader, key, `an array of ${type}s`);
}

function malformed({ name }: Reader, key: string, expected: string): QuernError {
  return new QuernError("TOKENIZER_MALFORMED", `${name}: ${PREFIX}${key} must be ${expected}.`, {
    subject: { file: name, key: PREFIX + key },
  });
}
