import { isJsonObject } from "../json-file.ts";
import type { JsonObject } from "../json-file.ts";
import { CHARACTER_BYTES } from "./byte-level-alphabet.ts";
import { TOKENIZER_JSON, malformedTokenizer } from "./tokenizer-files.ts";
import type { TokenizerFiles } from "./tokenizer-files.ts";

/** Limit on the text of a token (UTF-16 units): every replacement can multiply it. */
const LONGEST_TEXT = 1 << 20;

/**
 * The text that an added token stands for: what the tokenizer's own decoder makes of it. llama.cpp looks for added tokens in
 * plain text, whereas tokenizer.json may spell them in the alphabet of its model (a byte-level "Ġ" is a space).
 *
 * Same as encoding and decoding the one token with the Hugging Face libraries, including the removal of spaces before
 * punctuation where tokenizer_config.json asks for it.
 *
 * @throws QuernError `TOKENIZER_MALFORMED` (from the returned function)
 */
export function addedTokenText(files: TokenizerFiles): (content: string) => string {
  const decoder = files.tokenizer?.decoder;
  const cleanUp = files.tokenizerConfig?.["clean_up_tokenization_spaces"] === true;
  return (content) => {
    const text = decoder === undefined ? content : decode(content, decoder);
    return cleanUp ? withoutSpacesBeforePunctuation(text) : text;
  };
}

type Decoder = (token: string, options: JsonObject) => string;

/** Decoders of the tokenizers library, for the only token of a sequence; those that change nothing then (Fuse) are not listed. */
const DECODERS: ReadonlyMap<unknown, Decoder> = new Map<unknown, Decoder>([
  ["ByteLevel", decodeBytes],
  ["ByteFallback", decodeByteToken],
  ["Metaspace", decodeMetaspace],
  ["Replace", replace],
  ["Sequence", decodeSequence],
  ["Strip", strip],
  ["WordPiece", (token, { cleanup }) => (cleanup === false ? token : withoutSpacesBeforePunctuation(token))],
]);

function decode(token: string, decoder: JsonObject): string {
  return DECODERS.get(decoder["type"])?.(token, decoder) ?? token;
}

function decodeSequence(token: string, { decoders }: JsonObject): string {
  const steps = Array.isArray(decoders) ? decoders.filter(isJsonObject) : [];
  return steps.reduce(decode, token);
}

/** A token with a character outside the byte alphabet is taken as it stands (tokenizers, byte_level.rs `decode_chain`). */
function decodeBytes(token: string): string {
  const bytes = Array.from(token, (character) => CHARACTER_BYTES.get(character));
  if (bytes.includes(undefined)) return token;
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(bytes as number[]));
}

/** The first token of a text loses all its marks, not just the one that stands for the space that was put before it. */
function decodeMetaspace(
  token: string,
  { replacement, prepend_scheme, add_prefix_space }: JsonObject,
): string {
  const prepends = prepend_scheme === undefined ? add_prefix_space !== false : prepend_scheme !== "never";
  const mark = typeof replacement === "string" && replacement !== "" ? replacement : "\u2581";
  return token.replaceAll(mark, prepends ? "" : " ");
}

function replace(token: string, { pattern, content }: JsonObject): string {
  const searched = isJsonObject(pattern) ? pattern["String"] : undefined;
  if (typeof searched !== "string" || typeof content !== "string") return token;
  if ((token.length + 1) * content.length > LONGEST_TEXT) {
    throw malformedTokenizer(
      { file: TOKENIZER_JSON, key: "decoder" },
      "steps that do not make a token grow without end",
    );
  }
  return token.replaceAll(searched, content);
}

/** A byte alone is a character only if it is ASCII. */
function decodeByteToken(token: string): string {
  if (!/^<0x[0-9A-Fa-f]{2}>$/.test(token)) return token;
  const byte = Number.parseInt(token.slice(3, 5), 16);
  return byte < 0x80 ? String.fromCharCode(byte) : "\ufffd";
}

function strip(token: string, { content, start, stop }: JsonObject): string {
  if (typeof content !== "string" || content === "") return token;
  let text = token;
  for (let left = Number(start ?? 0); left > 0 && text.startsWith(content); left--)
    text = text.slice(content.length);
  for (let left = Number(stop ?? 0); left > 0 && text.endsWith(content); left--)
    text = text.slice(0, -content.length);
  return text;
}

/** `clean_up_tokenization` of the transformers library: these, in this order, lose their space. */
const SPACED = [" .", " ?", " !", " ,", " ' ", " n't", " 'm", " 's", " 've", " 're"];

function withoutSpacesBeforePunctuation(text: string): string {
  return SPACED.reduce((cleaned, spaced) => cleaned.replaceAll(spaced, spaced.trim()), text);
}
