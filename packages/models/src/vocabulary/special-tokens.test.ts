import { describe, expect, it } from "vitest";
import type { Contents } from "../testing/memory-checkpoint.ts";
import { added, bpe, errorOf, template, value, vocabulary } from "../testing/tiny-tokenizers.ts";

describe("special tokens", () => {
  it("are those of tokenizer_config.json where tokenizer.json has them, otherwise those of config.json", async () => {
    const metadata = await vocabulary(
      {
        "tokenizer.json": bpe,
        "tokenizer_config.json": { eos_token: { content: "</s>" }, bos_token: "<absent>" },
      },
      {
        config: {
          bos_token_id: 2,
          eos_token_id: 0,
          pad_token_id: [1],
          text_config: { unk_token_id: 1, bos_token_id: 1 },
        },
      },
    );
    expect([...metadata.keys()].filter((key) => key.endsWith("_id"))).toEqual([
      "tokenizer.ggml.eos_token_id",
      "tokenizer.ggml.bos_token_id",
      "tokenizer.ggml.unknown_token_id",
    ]);
    expect(value(metadata, "ggml.eos_token_id")).toBe(4);
    expect(value(metadata, "ggml.bos_token_id")).toBe(2);
    expect(value(metadata, "ggml.unknown_token_id")).toBe(1);
  });

  it("have the id of the first added token with their text", async () => {
    const tokenizer = { ...bpe, added_tokens: [added(4, "<s>"), added(3, "<s>")] };
    const files = { "tokenizer.json": tokenizer, "tokenizer_config.json": { bos_token: "<s>" } };
    expect(value(await vocabulary(files), "ggml.bos_token_id")).toBe(4);
  });

  it("lie within the vocabulary, but for byte-level BPE, where the reference does not look", async () => {
    const wordPiece = { ...bpe, model: { type: "WordPiece", vocab: { a: 0, "##b": 1 } }, added_tokens: [] };
    const config = { bos_token_id: 900, eos_token_id: 1 };
    const bounded = await vocabulary({ "tokenizer.json": wordPiece }, { config, tokenizers: ["wordpiece"] });
    expect(value(bounded, "ggml.tokens")).toEqual(["▁a", "b"]);
    expect([value(bounded, "ggml.bos_token_id"), value(bounded, "ggml.eos_token_id")]).toEqual([
      undefined,
      1,
    ]);
    expect(value(await vocabulary({ "tokenizer.json": bpe }, { config }), "ggml.bos_token_id")).toBe(900);
  });

  it("are never negative", async () => {
    const error = await errorOf(vocabulary({ "tokenizer.json": bpe }, { config: { bos_token_id: -1 } }));
    expect([error.code, error.subject]).toEqual([
      "TOKENIZER_MALFORMED",
      { file: "config.json", key: "bos_token_id" },
    ]);
  });

  it("are put around a text as the post-processor does it", async () => {
    const roles = ["bos", "eos", "sep"];
    const flags = async (
      post_processor: Contents,
      config: Contents = { bos_token: "<s>" },
    ): Promise<unknown> => {
      const metadata = await vocabulary({
        "tokenizer.json": { ...bpe, post_processor },
        "tokenizer_config.json": config,
      });
      return roles.map((role) => value(metadata, `ggml.add_${role}_token`));
    };
    expect(await flags(template(["<s>", "A"]))).toEqual([true, undefined, undefined]);
    expect(await flags(template(["<x>", "A"]), { bos_token: "<s>", cls_token: "</s>" })).toEqual([
      false,
      undefined,
      undefined,
    ]);
    expect(await flags(template(["<s>", "A", "</s>"], ["<s>", "A", "</s>", "B", "</s>"]))).toEqual([
      true,
      true,
      false,
    ]);
    expect(await flags(template(["A"], ["A", "</s>", "B"]), { eos_token: "</s>" })).toEqual([
      undefined,
      undefined,
      true,
    ]);
    expect(await flags({ type: "RobertaProcessing", cls: ["<s>", 3], sep: ["</s>", 4] })).toEqual([
      true,
      true,
      true,
    ]);
    expect(await flags(template(["<s>", "A"]), { bos_token: "<s>", add_bos_token: false })).toEqual([
      false,
      undefined,
      undefined,
    ]);
  });

  it("change their role when the post-processor ends texts with another token", async () => {
    const metadata = await vocabulary({
      "tokenizer.json": {
        ...bpe,
        added_tokens: [...bpe.added_tokens, added(5, "<|eot|>", { special: true })],
        post_processor: { type: "Sequence", processors: [{ type: "ByteLevel" }, template(["A", "</s>"])] },
      },
      "tokenizer_config.json": { eos_token: "<|eot|>" },
    });
    expect(value(metadata, "ggml.eos_token_id")).toBe(4);
    expect(value(metadata, "ggml.eot_token_id")).toBe(5);
  });

  it("may be known to the architecture alone", async () => {
    const files = { "tokenizer.json": bpe, "tokenizer_config.json": { bos_token: "<s>" } };
    const fallbackSpecialTokens = { bos: "</s>", eot: "</s>", eom: "<absent>" };
    const glm = await vocabulary(files, { fallbackSpecialTokens });
    expect(value(glm, "ggml.bos_token_id")).toBe(3);
    expect(value(glm, "ggml.eot_token_id")).toBe(4);
    expect(glm.has("tokenizer.ggml.eom_token_id")).toBe(false);
    expect(value(await vocabulary(files, { endOfTurnTokenId: 1 }), "ggml.eot_token_id")).toBe(1);
  });

  it("are added by the post-processor's word alone where the end of turn is known to the architecture", async () => {
    const metadata = await vocabulary(
      {
        "tokenizer.json": { ...bpe, post_processor: template(["<s>", "A"]) },
        "tokenizer_config.json": { bos_token: "<s>", add_bos_token: false, eot_token: "</s>" },
      },
      { endOfTurnTokenId: 1 },
    );
    expect(value(metadata, "ggml.add_bos_token")).toBe(true);
    expect(value(metadata, "ggml.eot_token_id")).toBe(4);
  });
});
