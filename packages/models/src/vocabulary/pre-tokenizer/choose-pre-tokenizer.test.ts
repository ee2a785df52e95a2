import { QuernError } from "@quern/tensor";
import { describe, expect, it } from "vitest";
import type { JsonObject } from "../../json-file.ts";
import type { TokenizerFiles, TokenizerJson } from "../tokenizer-files.ts";
import { choosePreTokenizer } from "./choose-pre-tokenizer.ts";
import {
  KNOWN_PRE_TOKENIZERS,
  PRE_TOKENIZER_NAMES,
  WITHOUT_SPLITTING,
  WORD_PIECE,
} from "./known-pre-tokenizers.ts";
import { GPT2_REGEX, regularForm } from "./splitting-steps.ts";

const { raw } = String;
const LLAMA3 = raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;
const QWEN2 = LLAMA3.replace("{1,3}", "");

const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
const bytesOnly = { ...byteLevel, use_regex: false };
const digits = { type: "Digits", individual_digits: true };

function split(regex: string, behavior = "Isolated", invert = false): JsonObject {
  return { type: "Split", pattern: { Regex: regex }, behavior, invert };
}

function sequence(...pretokenizers: readonly JsonObject[]): JsonObject {
  return { type: "Sequence", pretokenizers };
}

interface Tokenizer extends Partial<Omit<TokenizerJson, "addedTokens">> {
  readonly added?: readonly string[];
  readonly tokenizerConfig?: JsonObject;
  readonly config?: JsonObject;
  readonly override?: string;
}

function choose({
  added = [],
  tokenizerConfig = {},
  config = {},
  override,
  ...tokenizer
}: Tokenizer): string {
  const files: TokenizerFiles = {
    checkpoint: { name: "checkpoint", has: () => false, read: async () => undefined, list: () => [] },
    tokenizer: {
      model: {},
      modelType: "BPE",
      addedTokens: added.map((content, id) => ({ id, content, normalized: false, special: true })),
      normalizer: undefined,
      preTokenizer: undefined,
      postProcessor: undefined,
      decoder: undefined,
      ...tokenizer,
    },
    tokenizerConfig,
    addedTokens: undefined,
    specialTokensMap: undefined,
  };
  return choosePreTokenizer({ files, config, preTokenizer: override, splits: true });
}

function errorOf(tokenizer: Tokenizer): QuernError {
  try {
    choose(tokenizer);
  } catch (error) {
    return error as QuernError;
  }
  return expect.unreachable("no error");
}

describe("known pre-tokenizers", () => {
  it("have names that llama.cpp accepts, and one canonical name each", () => {
    for (const { names } of KNOWN_PRE_TOKENIZERS) {
      expect(names.map(({ applies }) => applies === undefined)).toEqual(
        names.map((_, index) => index === names.length - 1),
      );
      for (const { name } of names) expect(PRE_TOKENIZER_NAMES).toContain(name);
    }
    expect(PRE_TOKENIZER_NAMES).toContain(WITHOUT_SPLITTING);
  });

  it("are spelled in the regular form, each once", () => {
    const spelled = KNOWN_PRE_TOKENIZERS.map(({ steps }) => steps.join("\n"));
    expect(new Set(spelled).size).toBe(spelled.length);
    for (const { steps } of KNOWN_PRE_TOKENIZERS) expect(steps.map(regularForm)).toEqual(steps);
  });

  it.each(KNOWN_PRE_TOKENIZERS.filter(({ steps }) => !steps.some((step) => step.startsWith("Punctuation"))))(
    "are found by their expressions: $names",
    ({ steps, names }) => {
      const preTokenizer = sequence(...steps.map((step) => split(step)), bytesOnly);
      expect(choose({ preTokenizer })).toBe(names.at(-1)?.name);
    },
  );
});

describe("names for the same way of cutting", () => {
  const llama3 = sequence(split(LLAMA3), bytesOnly);
  const qwen2 = sequence(split(QWEN2), bytesOnly);
  const starcoder = sequence(digits, byteLevel);
  const nfc = { type: "NFC" };
  it.each<[string, Tokenizer]>([
    ["llama-bpe", { preTokenizer: llama3, model: { ignore_merges: true } }],
    ["dbrx", { preTokenizer: llama3, model: { ignore_merges: false } }],
    ["glm4", { preTokenizer: llama3, added: ["<|endoftext|>", "[gMASK]", "<sop>"] }],
    [
      "qwen2",
      { preTokenizer: qwen2, normalizer: nfc, tokenizerConfig: { clean_up_tokenization_spaces: false } },
    ],
    [
      "qwen2",
      { preTokenizer: qwen2, normalizer: nfc, tokenizerConfig: { clean_up_tokenization_spaces: true } },
    ],
    ["qwen2", { preTokenizer: qwen2, tokenizerConfig: { clean_up_tokenization_spaces: false } }],
    ["stablelm2", { preTokenizer: qwen2, tokenizerConfig: { clean_up_tokenization_spaces: true } }],
    ["gpt-2", { preTokenizer: byteLevel }],
    ["gpt-2", { preTokenizer: sequence(sequence(), byteLevel), normalizer: nfc }],
    ["mpt", { preTokenizer: byteLevel, added: ["   ", "  "] }],
    ["roberta-bpe", { preTokenizer: byteLevel, postProcessor: { type: "RobertaProcessing" } }],
    ["starcoder", { preTokenizer: starcoder }],
    ["refact", { preTokenizer: starcoder, config: { model_type: "granite" } }],
    ["smollm", { preTokenizer: starcoder, tokenizerConfig: { clean_up_tokenization_spaces: false } }],
    [
      "command-r",
      { preTokenizer: starcoder, normalizer: { type: "Sequence", normalizers: [nfc] }, tokenizerConfig: {} },
    ],
    [
      "falcon",
      {
        preTokenizer: sequence(
          { type: "Punctuation", behavior: "Contiguous" },
          byteLevel,
          { type: "Digits", individual_digits: false },
          split("[0-9][0-9][0-9]"),
        ),
      },
    ],
    [WORD_PIECE, { modelType: "WordPiece", preTokenizer: { type: "BertPreTokenizer" } }],
  ])("%s", (name, tokenizer) => {
    expect(choose(tokenizer)).toBe(name);
  });

  it("is that of whole lines where the normalizer takes the spaces away", () => {
    const spm: Tokenizer = {
      model: { byte_fallback: true },
      normalizer: { type: "Replace", pattern: { String: " " }, content: "▁" },
    };
    const atSpaces = {
      type: "Split",
      pattern: { String: " " },
      behavior: "MergedWithPrevious",
      invert: false,
    };
    expect(choose(spm)).toBe(WITHOUT_SPLITTING);
    expect(choose({ ...spm, preTokenizer: atSpaces })).toBe(WITHOUT_SPLITTING);
    expect(errorOf({ ...spm, normalizer: undefined, preTokenizer: atSpaces }).code).toBe(
      "TOKENIZER_PRE_UNKNOWN",
    );
    expect(errorOf({ ...spm, preTokenizer: split("\\d") }).code).toBe("TOKENIZER_PRE_UNKNOWN");
  });
});

describe("spellings of an expression", () => {
  it.each([
    ["line breaks as characters", LLAMA3.replaceAll("\\r", "\r").replaceAll("\\n", "\n")],
    ["contractions with classes", LLAMA3.replace("(?i:'s|'t|'re|'ve|'m|'ll|'d)", "'(?i:[sdmt]|ll|ve|re)")],
    [
      "contractions in both cases",
      LLAMA3.replace(
        "(?i:'s|'t|'re|'ve|'m|'ll|'d)",
        "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])",
      ),
    ],
    [
      "possessive quantifiers",
      LLAMA3.replace("[^\\r\\n\\p{L}\\p{N}]?", "[^\\r\\n\\p{L}\\p{N}]?+").replace("]+[", "]++["),
    ],
  ])("does not matter: %s", (_, spelling) => {
    expect(spelling).not.toBe(LLAMA3);
    expect(regularForm(spelling)).toBe(LLAMA3);
    expect(choose({ preTokenizer: split(spelling) })).toBe("dbrx");
  });

  it("does not matter: what is kept or dropped", () => {
    expect(choose({ preTokenizer: split(LLAMA3, "Removed", true) })).toBe("dbrx");
    expect(errorOf({ preTokenizer: split(LLAMA3, "Removed") }).code).toBe("TOKENIZER_PRE_UNKNOWN");
    expect(errorOf({ preTokenizer: split(LLAMA3, "MergedWithNext") }).code).toBe("TOKENIZER_PRE_UNKNOWN");
  });

  it("leaves lookalikes of possessive quantifiers alone", () => {
    const classes = raw`[!"#$%&'()*+,]\p{L}+`;
    expect(regularForm(classes)).toBe(classes);
  });
});

describe("unknown pre-tokenizer", () => {
  it("shows the expression, the nearest one and the way out", () => {
    const regex = QWEN2.replace(" ?[^", "[^");
    const error = errorOf({ preTokenizer: sequence(split(regex), bytesOnly) });
    expect(error).toBeInstanceOf(QuernError);
    expect(error.code).toBe("TOKENIZER_PRE_UNKNOWN");
    expect(error.message).toContain(regex);
    expect(error.message).toContain(QWEN2);
    expect(error.message).toContain("--pre qwen2");
    expect(error.subject).toEqual({ file: "tokenizer.json", key: "pre_tokenizer" });
  });

  it("keeps the message short for endless input", () => {
    expect(errorOf({ preTokenizer: split("x".repeat(1_000_000)) }).message.length).toBeLessThan(5000);
  });

  it.each<[string, JsonObject | undefined]>([
    ["none", undefined],
    ["a type without a name", { type: 5 }],
    ["a type from the prototype of objects", { type: "constructor" }],
    ["a pattern that is none", { type: "Split", pattern: 3, behavior: "Isolated" }],
    ["a sequence of nothing", { type: "Sequence", pretokenizers: null }],
    ["one that splits twice", sequence(split(QWEN2), byteLevel)],
  ])("%s", (_, preTokenizer) => {
    expect(errorOf({ preTokenizer }).code).toBe("TOKENIZER_PRE_UNKNOWN");
  });
});

describe("override", () => {
  it("counts more than tokenizer.json", () => {
    expect(choose({ preTokenizer: byteLevel, override: "deepseek-v3" })).toBe("deepseek-v3");
    expect(choose({ preTokenizer: split("unheard of"), override: "default" })).toBe("default");
  });

  it("must be a name that llama.cpp has", () => {
    const error = errorOf({ preTokenizer: byteLevel, override: "gwen2" });
    expect(error.code).toBe("TOKENIZER_PRE_UNKNOWN");
    expect(error.message).toContain("Did you mean --pre qwen2?");
  });
});

it("has the expression of GPT-2 once", () => {
  expect(
    KNOWN_PRE_TOKENIZERS.filter(({ steps }) => steps.length === 1 && steps[0] === GPT2_REGEX),
  ).toHaveLength(1);
});
