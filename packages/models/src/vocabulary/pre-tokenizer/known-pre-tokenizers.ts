import type { PreTokenizerTraits } from "./pre-tokenizer-traits.ts";
import { GPT2_REGEX } from "./splitting-steps.ts";

/** A name in llama.cpp for a way of cutting text. */
export interface PreTokenizerName {
  readonly name: string;
  /** What tells it from the other names for the same steps; absent on the last, which is the canonical choice. */
  readonly applies?: (traits: PreTokenizerTraits) => boolean;
}

export interface KnownPreTokenizer {
  /** Steps of the tokenizer.json, in the spelling of `splittingSteps`. */
  readonly steps: readonly string[];
  /** In the order in which they are tried. */
  readonly names: readonly PreTokenizerName[];
}

const { raw } = String;

const LLAMA3 = raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;
const QWEN2 = raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;
const GPT4O = raw`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`;
const DEEPSEEK_CJK = raw`[一-龥ࠀ-一가-퟿]+`;
const BLOOM = raw` ?[^(\s|[.,!?…。，、।۔،])]+`;

/**
 * Ways of cutting text that llama.cpp implements.
 *
 * Expressions: `llm_tokenizer_bpe` in llama.cpp's src/llama-vocab.cpp, where a comment has the one from tokenizer.json that one;
 * names: the same file (`tokenizer_pre ==`) and convert_hf_to_gguf_update.py. Of names that make llama.cpp do the same, one is
 * canonical; those that differ are told apart by what they differ in:
 * - llama-bpe takes whole words from the vocabulary before merging (`ignore_merges`), dbrx does not;
 * - glm4 has no token to begin with by default;
 * - qwen2, command-r, smollm and poro-chat leave the spaces before punctuation alone when detokenizing, stablelm2, starcoder, refact
 *   and bloom remove them (`clean_up_tokenization_spaces`).
 */
export const KNOWN_PRE_TOKENIZERS: readonly KnownPreTokenizer[] = [
  {
    steps: [LLAMA3],
    names: [
      { name: "glm4", applies: (traits) => traits.hasAddedToken("[gMASK]") },
      { name: "llama-bpe", applies: (traits) => traits.ignoresMerges },
      { name: "dbrx" },
    ],
  },
  {
    steps: [QWEN2],
    names: [
      {
        name: "stablelm2",
        applies: (traits) => traits.cleansUpSpaces === true && !traits.normalizers.includes("NFC"),
      },
      { name: "qwen2" },
    ],
  },
  {
    steps: [
      raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
    ],
    names: [{ name: "qwen35" }],
  },
  {
    steps: [GPT2_REGEX],
    names: [
      { name: "roberta-bpe", applies: (traits) => traits.postProcessors.includes("RobertaProcessing") },
      // GPT-NeoX, MPT and OLMo have added tokens for runs of spaces.
      { name: "mpt", applies: (traits) => traits.hasAddedToken("  ") },
      { name: "gpt-2" },
    ],
  },
  {
    steps: [raw`\p{N}`, GPT2_REGEX],
    names: [
      { name: "command-r", applies: (traits) => traits.normalizers.includes("NFC") },
      { name: "refact", applies: (traits) => traits.modelType.startsWith("granite") },
      { name: "smollm", applies: (traits) => traits.cleansUpSpaces === false },
      { name: "starcoder" },
    ],
  },
  { steps: [GPT4O], names: [{ name: "gpt-4o" }] },
  {
    steps: [raw`\d{1,3}(?=(?:\d{3})*\b)`, GPT4O],
    names: [{ name: "tiny_aya" }],
  },
  {
    steps: [
      raw`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
    ],
    names: [{ name: "tekken" }],
  },
  {
    steps: ["Punctuation Contiguous", GPT2_REGEX, raw`\p{N}+`, "[0-9][0-9][0-9]"],
    names: [{ name: "falcon" }],
  },
  {
    steps: [
      raw`[\r\n]`,
      raw`\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+`,
      raw`\s?[!-/:-~！-／：-～‘-‟　-。]+`,
      raw`\s+$`,
      DEEPSEEK_CJK,
      raw`\p{N}`,
    ],
    names: [{ name: "deepseek-llm" }],
  },
  {
    steps: [raw`[\r\n]`, raw`\s?\p{L}+`, raw`\s?\p{P}+`, DEEPSEEK_CJK, raw`\p{N}`],
    names: [{ name: "deepseek-coder" }],
  },
  {
    steps: [
      raw`\p{N}{1,3}`,
      raw`[一-龥぀-ゟ゠-ヿ]+`,
      raw`[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_${"`"}{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
    ],
    names: [{ name: "deepseek-v3" }],
  },
  {
    steps: [BLOOM],
    names: [{ name: "poro-chat", applies: (traits) => traits.cleansUpSpaces === false }, { name: "bloom" }],
  },
  { steps: [BLOOM, raw`\p{N}`], names: [{ name: "viking" }] },
  { steps: [raw`\p{N}+`, raw`(?=(\d{3})+(?!\d))`], names: [{ name: "superbpe" }] },
  {
    steps: [
      raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`,
    ],
    names: [{ name: "bailingmoe" }],
  },
  {
    steps: [
      raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+`,
    ],
    names: [{ name: "seed-coder" }],
  },
  {
    steps: [
      raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+`,
    ],
    names: [{ name: "exaone-moe" }],
  },
  {
    steps: [
      raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s`,
    ],
    names: [{ name: "jais-2" }],
  },
  {
    steps: [
      raw`\p{N}{1,3}`,
      raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
    ],
    names: [{ name: "minicpm5" }],
  },
  {
    steps: [raw`[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`],
    names: [{ name: "ufakzeka" }],
  },
];

/** BPE over text whose spaces the normalizer has written as U+2581: nothing is cut but lines (llama.cpp `escape_whitespaces`). */
export const WITHOUT_SPLITTING = "gemma4";

/** WordPiece always cuts at spaces and punctuation; llama.cpp does not look at the name then. */
export const WORD_PIECE = "bert-bge";

/** Every name that llama.cpp v0.5.0 accepts (src/llama-vocab.cpp, `tokenizer_pre ==`). */
export const PRE_TOKENIZER_NAMES: readonly string[] = [
  "a.x-4.0",
  "afmoe",
  "bailingmoe",
  "bailingmoe2",
  "bloom",
  "chameleon",
  "chatglm-bpe",
  "codeshell",
  "cohere2moe",
  "command-r",
  "dbrx",
  "deepseek-coder",
  "deepseek-llm",
  "deepseek-r1-qwen",
  "deepseek-v3",
  "default",
  "exaone",
  "exaone-moe",
  "exaone4",
  "f2llmv2",
  "falcon",
  "falcon-h1",
  "falcon3",
  "gemma4",
  "gigachat",
  "glm4",
  "gpt-2",
  "gpt-4o",
  "gpt3-finnish",
  "granite-docling",
  "granite-embed-multi-311m",
  "granite-embed-multi-97m",
  "grok-2",
  "hunyuan",
  "hunyuan-dense",
  "hy_v4",
  "jais",
  "jais-2",
  "jina-de",
  "jina-es",
  "jina-v1-en",
  "jina-v2-code",
  "jina-v2-de",
  "jina-v2-es",
  "jina-v5-nano",
  "joyai-llm",
  "kanana2",
  "kimi-k2",
  "kormo",
  "laguna",
  "lfm2",
  "llada-moe",
  "llama-bpe",
  "llama-v3",
  "llama3",
  "llama4",
  "megrez",
  "mellum",
  "mellum2",
  "midm-2.0",
  "minerva-7b",
  "minicpm5",
  "minimax-m2",
  "modern-bert",
  "mpt",
  "olmo",
  "phi-2",
  "pixtral",
  "poro-chat",
  "qwen2",
  "qwen35",
  "refact",
  "roberta-bpe",
  "sarvam-moe",
  "seed-coder",
  "smaug-bpe",
  "smollm",
  "solar-open",
  "spark2_5",
  "stablelm2",
  "starcoder",
  "superbpe",
  "talkie",
  "tekken",
  "tiny_aya",
  "trillion",
  "ufakzeka",
  "viking",
  "whitespace",
  "youtu",
];
