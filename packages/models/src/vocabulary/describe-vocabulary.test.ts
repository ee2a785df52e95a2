import { describe, expect, it } from "vitest";
import type { Contents } from "../testing/memory-checkpoint.ts";
import {
  added,
  bpe,
  errorOf,
  type Options,
  spm,
  template,
  value,
  vocabulary,
} from "../testing/tiny-tokenizers.ts";
import { TOKEN_TYPE } from "./token-list.ts";

const { normal, control, userDefined, unused, byte } = TOKEN_TYPE;

describe("tokens of a tokenizer.json", () => {
  it("are trained, added, or padding up to the size of the vocabulary", async () => {
    const metadata = await vocabulary({ "tokenizer.json": bpe }, { vocabularySize: 7 });
    expect(value(metadata, "ggml.tokens")).toEqual(["a", "b", "ab", "<s>", "</s>", "[PAD5]", "[PAD6]"]);
    expect(value(metadata, "ggml.token_type")).toEqual([
      normal,
      normal,
      normal,
      control,
      control,
      unused,
      unused,
    ]);
    expect([value(metadata, "ggml.model"), value(metadata, "ggml.pre")]).toEqual(["gpt2", "gpt-2"]);
  });

  it("may leave ids open", async () => {
    const tokenizer = { ...bpe, added_tokens: [added(5, "<x>")] };
    const metadata = await vocabulary({ "tokenizer.json": tokenizer });
    expect(value(metadata, "ggml.tokens")).toEqual(["a", "b", "ab", "[PAD3]", "[PAD4]", "<x>"]);
  });

  it.each([
    ["a byte-level spelling, unless it is normalized", added(3, "Ġx"), " x", userDefined],
    ["a byte-level spelling that is normalized", added(3, "Ġx", { normalized: true }), "Ġx", userDefined],
    ["the mark of SentencePiece for a space", added(3, "▁▁"), "  ", userDefined],
    ["special tokens as they are", added(3, "<▁>", { special: true }), "<▁>", control],
    ["unmarked tokens that look special", added(3, "<|x|>"), "<|x|>", control],
    ["unmarked tokens of DeepSeek", added(3, "<｜User｜>"), "<｜User｜>", control],
    ["unmarked tokens of Gemma", added(3, "<unused7>"), "<unused7>", control],
    ["plain words", added(3, "<tool_call>"), "<tool_call>", userDefined],
  ])("reads %s", async (_, token, text, type) => {
    const metadata = await vocabulary({ "tokenizer.json": { ...bpe, added_tokens: [token] } });
    expect([value(metadata, "ggml.tokens"), value(metadata, "ggml.token_type")]).toEqual([
      ["a", "b", "ab", text],
      [normal, normal, normal, type],
    ]);
  });

  it("lose spaces before punctuation where tokenizer_config.json says so", async () => {
    const files = { "tokenizer.json": { ...bpe, added_tokens: [added(3, "Ġ.")] } };
    const cleaned = { ...files, "tokenizer_config.json": { clean_up_tokenization_spaces: true } };
    expect(value(await vocabulary(files), "ggml.tokens")).toContain(" .");
    expect(value(await vocabulary(cleaned), "ggml.tokens")).toContain(".");
  });

  it("take flags and further tokens from tokenizer_config.json", async () => {
    const metadata = await vocabulary({
      "tokenizer.json": { ...bpe, added_tokens: [added(3, "<s>"), added(4, "</s>")] },
      "tokenizer_config.json": {
        added_tokens_decoder: {
          3: added(3, "<s>", { special: true }),
          5: added(5, "<new>"),
          2: added(2, "ab"),
        },
        eos_token: "</s>",
      },
      "added_tokens.json": { "<moot>": 6 },
    });
    expect(value(metadata, "ggml.tokens")).toEqual(["a", "b", "ab", "<s>", "</s>", "<new>"]);
    expect(value(metadata, "ggml.token_type")).toEqual([
      normal,
      normal,
      userDefined,
      control,
      control,
      userDefined,
    ]);
  });

  it("take further tokens from added_tokens.json and special_tokens_map.json of old checkpoints", async () => {
    const metadata = await vocabulary({
      "tokenizer.json": bpe,
      "added_tokens.json": { "<s>": 3, "<old>": 5 },
      "special_tokens_map.json": {
        pad_token: { content: "<pad>" },
        additional_special_tokens: ["<old>", "b"],
      },
    });
    expect(value(metadata, "ggml.tokens")).toEqual(["a", "b", "ab", "<s>", "</s>", "<old>", "<pad>"]);
    expect(value(metadata, "ggml.token_type")).toEqual([
      normal,
      control,
      normal,
      control,
      control,
      control,
      control,
    ]);
  });

  it("are special when they are the defaults of the tokenizer class, but not made for it", async () => {
    const tokenizer = {
      ...bpe,
      model: { ...bpe.model, vocab: { a: 0, "<|endoftext|>": 1 } },
      added_tokens: [],
    };
    const classes = { tokenizer_class: "GPT2TokenizerFast" };
    const found = await vocabulary({ "tokenizer.json": tokenizer, "tokenizer_config.json": classes });
    expect(value(found, "ggml.token_type")).toEqual([normal, control]);
    const missing = await vocabulary({ "tokenizer.json": bpe, "tokenizer_config.json": classes });
    expect(value(missing, "ggml.tokens")).toEqual(["a", "b", "ab", "<s>", "</s>"]);
    const inferred = await vocabulary({ "tokenizer.json": tokenizer }, { config: { model_type: "gpt2" } });
    expect(value(inferred, "ggml.token_type")).toEqual([normal, control]);
  });

  it("may come from a file that does not name its type", async () => {
    const { type: _, ...model } = bpe.model;
    expect(value(await vocabulary({ "tokenizer.json": { ...bpe, model } }), "ggml.model")).toBe("gpt2");
  });
});

describe("merges", () => {
  it.each([
    ["strings", ["a b", "ab c"], ["a b", "ab c"]],
    [
      "pairs, spaces encoded",
      [
        ["a", "b"],
        [" a", "b "],
      ],
      ["a b", "Ġa bĠ"],
    ],
  ])("are %s", async (_, merges, expected) => {
    const metadata = await vocabulary({ "tokenizer.json": { ...bpe, model: { ...bpe.model, merges } } });
    expect(value(metadata, "ggml.merges")).toEqual(expected);
  });

  it("come from merges.txt when tokenizer.json has none", async () => {
    const metadata = await vocabulary({
      "tokenizer.json": { ...bpe, model: { ...bpe.model, merges: [] } },
      "merges.txt": "#version: 0.2\r\na b\n\n # c\nx y z\n  ab   c \n",
    });
    expect(value(metadata, "ggml.merges")).toEqual(["a b", "# c", "ab c"]);
  });

  it("must be strings or pairs", async () => {
    const error = await errorOf(
      vocabulary({ "tokenizer.json": { ...bpe, model: { ...bpe.model, merges: [["a"]] } } }),
    );
    expect([error.code, error.subject.key]).toEqual(["TOKENIZER_MALFORMED", "model.merges[0]"]);
  });
});

describe("SentencePiece from tokenizer.json", () => {
  const hints: Options = { tokenizers: ["sentencepiece", "sentencepiece-json", "byte-level-bpe"] };

  it("has one score, and types by role", async () => {
    const tokenizer = {
      ...spm,
      added_tokens: [...spm.added_tokens, added(4, "<tool>", { special: true }), added(5, "<end>")],
    };
    const config = { tokenizer_class: "LlamaTokenizer", pad_token: "<end>" };
    const metadata = await vocabulary(
      { "tokenizer.json": tokenizer, "tokenizer_config.json": config },
      hints,
    );
    expect(value(metadata, "ggml.tokens")).toEqual(["<s>", "</s>", "<0x0A>", "▁a", "<tool>", "<end>"]);
    // "<tool>" has no role, and that is what counts here.
    expect(value(metadata, "ggml.token_type")).toEqual([
      control,
      control,
      byte,
      normal,
      userDefined,
      control,
    ]);
    expect(value(metadata, "ggml.scores")).toEqual([-1000, -1000, -1000, -1000, -1000, -1000]);
    expect([value(metadata, "ggml.model"), value(metadata, "ggml.pre")]).toEqual(["llama", "default"]);
    expect(metadata.has("tokenizer.ggml.merges")).toBe(false);
  });

  it("is not what a byte-level tokenizer is taken for", async () => {
    expect(value(await vocabulary({ "tokenizer.json": bpe }, hints), "ggml.model")).toBe("gpt2");
  });

  it.each([
    ["trained tokens", { ...spm, model: { ...spm.model, vocab: { "<s>": 0, a: 2 } } }],
    ["added tokens", { ...spm, added_tokens: [added(6, "<late>")] }],
  ])("has no holes among %s", async (_, tokenizer) => {
    const error = await errorOf(vocabulary({ "tokenizer.json": tokenizer }, hints));
    expect(error.code).toBe("TOKENIZER_MALFORMED");
  });
});

describe("hints", () => {
  it("copy add_prefix_space in front of everything", async () => {
    const files = { "tokenizer.json": bpe, "tokenizer_config.json": { add_prefix_space: false } };
    const metadata = await vocabulary(files, { copiesAddPrefixSpace: true });
    expect([...metadata.keys()].slice(0, 2)).toEqual([
      "tokenizer.ggml.add_space_prefix",
      "tokenizer.ggml.model",
    ]);
    expect(value(metadata, "ggml.add_space_prefix")).toBe(false);
    expect((await vocabulary(files)).has("tokenizer.ggml.add_space_prefix")).toBe(false);
  });

  it("set add_space_prefix last, and for SentencePiece only", async () => {
    const tokenizers: Options["tokenizers"] = ["sentencepiece-json", "byte-level-bpe"];
    const hints = { tokenizers, addSpacePrefix: false };
    const metadata = await vocabulary({ "tokenizer.json": spm }, hints);
    expect([...metadata.keys()].at(-1)).toBe("tokenizer.ggml.add_space_prefix");
    expect((await vocabulary({ "tokenizer.json": bpe }, hints)).has("tokenizer.ggml.add_space_prefix")).toBe(
      false,
    );
  });

  it("set add_bos_token against the files, in its place", async () => {
    const files = {
      "tokenizer.json": { ...bpe, post_processor: template(["<s>", "A"]) },
      "tokenizer_config.json": { bos_token: "<s>" },
    };
    const metadata = await vocabulary(files, { addBosToken: false });
    expect(value(metadata, "ggml.add_bos_token")).toBe(false);
    expect(value(await vocabulary(files), "ggml.add_bos_token")).toBe(true);
  });
});

describe("normalizer", () => {
  it.each<[Contents, unknown, unknown]>([
    [{ type: "Lowercase" }, true, undefined],
    [{ type: "BertNormalizer", lowercase: false, strip_accents: null }, false, undefined],
    [
      { type: "Sequence", normalizers: [{ type: "NFD" }, { type: "StripAccents" }, { type: "Lowercase" }] },
      true,
      true,
    ],
  ])("%j", async (normalizer, lowercase, stripAccents) => {
    const metadata = await vocabulary({ "tokenizer.json": { ...bpe, normalizer } });
    expect(value(metadata, "ggml.normalizer.lowercase")).toBe(lowercase);
    expect(value(metadata, "ggml.normalizer.strip_accents")).toBe(stripAccents);
  });
});
