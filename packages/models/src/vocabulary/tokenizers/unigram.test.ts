import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { QuernError } from "@quern/tensor";
import type { Contents } from "../../testing/memory-checkpoint.ts";
import { type Options, added, errorOf, template, value, vocabulary } from "../../testing/tiny-tokenizers.ts";
import { TOKEN_TYPE } from "../token-list.ts";

const golden = new URL("../../../../../fixtures/golden/xlm-roberta/checkpoint/", import.meta.url);
const UNIGRAM: Options = { tokenizers: ["unigram"], tokenTypeCount: 1 };

/** A trie of four bytes, and one byte of replacements. */
const CHARSMAP = Uint8Array.of(4, 0, 0, 0, 1, 2, 3, 4, 0);
const precompiled = (bytes: Uint8Array): Contents => ({
  type: "Precompiled",
  precompiled_charsmap: Buffer.from(bytes).toString("base64"),
});

const model: Contents = {
  type: "Unigram",
  unk_id: 3,
  vocab: [
    ["<s>", 0],
    ["<pad>", 0],
    ["</s>", 0],
    ["<unk>", 0],
    ["▁a", -1.5],
    ["b", -2.25],
  ],
};
const unigram: Contents = {
  added_tokens: [
    added(0, "<s>", { special: true }),
    added(2, "</s>", { special: true }),
    added(3, "<unk>", { special: true }),
    added(5, "b"),
    added(6, "<beyond>"),
  ],
  normalizer: precompiled(CHARSMAP),
  post_processor: template(["<s>", "A", "</s>"]),
  model,
};
const config: Contents = { tokenizer_class: "XLMRobertaTokenizer" };

async function describeJson(
  tokenizer: Contents,
  tokenizerConfig: Contents = config,
  options: Options = {},
): Promise<(key: string) => unknown> {
  const contents = { "tokenizer.json": tokenizer, "tokenizer_config.json": tokenizerConfig };
  const metadata = await vocabulary(contents, { ...UNIGRAM, ...options });
  return (key) => value(metadata, `ggml.${key}`);
}

describe("Unigram from tokenizer.json", () => {
  const { control, normal, unknown, unused, userDefined } = TOKEN_TYPE;

  it("has pieces with their scores, and padding up to the size of the vocabulary", async () => {
    const of = await describeJson(unigram, config, { vocabularySize: 8 });
    expect(of("model")).toBe("t5");
    expect(of("pre")).toBe("default");
    expect(of("tokens")).toEqual(["<s>", "<pad>", "</s>", "<unk>", "▁a", "b", "[PAD6]", "[PAD7]"]);
    expect(of("scores")).toEqual([0, 0, 0, 0, -1.5, -2.25, -10_000, -10_000]);
    expect(of("token_type")).toEqual([
      control,
      control,
      control,
      unknown,
      normal,
      userDefined,
      unused,
      unused,
    ]);
  });

  it("does not cut pieces off that the model has no row for", async () => {
    const of = await describeJson(unigram, config, { vocabularySize: 2 });
    expect(of("tokens")).toHaveLength(6);
  });

  it.each<[string, Contents, Contents, number | undefined]>([
    ["the configured token", { unk_token: "b" }, {}, 5],
    ["the configured token, which becomes an added one", { unk_token: "▁a" }, {}, 4],
    ["the model's id when no token is configured", {}, { unk_id: 1 }, 1],
    ["id 3 when neither says so", {}, { unk_id: undefined }, 3],
    ["nothing when the model says so", {}, { unk_id: null }, undefined],
    ["nothing when the id is that of no piece", {}, { unk_id: 99 }, undefined],
  ])("takes %s for unknown text", async (_, tokenizerConfig, changed, id) => {
    const tokenizer = { ...unigram, model: { ...model, ...changed } };
    const of = await describeJson(tokenizer, { ...config, ...tokenizerConfig });
    const types = of("token_type") as number[];
    expect(types.flatMap((type, index) => (type === unknown ? [index] : []))).toEqual(
      id === undefined ? [] : [id],
    );
  });

  it("keeps the ids of pieces that come twice", async () => {
    const vocab = [...(model["vocab"] as unknown[]), ["▁a", -9]];
    const of = await describeJson({ ...unigram, added_tokens: [], model: { ...model, vocab } });
    expect((of("tokens") as string[]).slice(4)).toEqual(["▁a", "b", "▁a"]);
    expect((of("scores") as number[]).slice(4)).toEqual([-1.5, -2.25, -9]);
  });

  it("takes the treatment of spaces from tokenizer_config.json", async () => {
    const plain = await describeJson(unigram);
    expect([plain("add_space_prefix"), plain("remove_extra_whitespaces")]).toEqual([false, false]);
    const said = await describeJson(unigram, {
      ...config,
      add_prefix_space: true,
      clean_up_tokenization_spaces: true,
    });
    expect([said("add_space_prefix"), said("remove_extra_whitespaces")]).toEqual([true, true]);
  });

  it("finds the replacements of characters alone, among other steps, or not at all", async () => {
    const withNormalizer = async (normalizer: unknown): Promise<unknown> =>
      (await describeJson({ ...unigram, normalizer }))("precompiled_charsmap");
    expect(await withNormalizer(precompiled(CHARSMAP))).toEqual([...CHARSMAP]);
    const steps = [{ type: "Strip" }, precompiled(CHARSMAP)];
    expect(await withNormalizer({ type: "Sequence", normalizers: steps })).toEqual([...CHARSMAP]);
    expect(await withNormalizer(null)).toBeUndefined();
    expect(await withNormalizer(precompiled(new Uint8Array()))).toBeUndefined();
  });

  it.each<[string, Contents, string]>([
    ["a vocabulary that is none", { model: { ...model, vocab: { a: 0 } } }, "model.vocab"],
    ["a piece without a score", { model: { ...model, vocab: [["a", 0], ["b"]] } }, "model.vocab[1]"],
    [
      "replacements that are no Base64",
      { normalizer: { type: "Precompiled", precompiled_charsmap: "#" } },
      "normalizer.precompiled_charsmap",
    ],
    ["replacements of no type", { normalizer: { type: "Precompiled" } }, "normalizer.precompiled_charsmap"],
    ["a trie that is cut off", { normalizer: precompiled(CHARSMAP.subarray(0, 8)) }, "precompiled_charsmap"],
    ["a trie without its size", { normalizer: precompiled(Uint8Array.of(1, 2)) }, "precompiled_charsmap"],
  ])("refuses %s", async (_, changed, key) => {
    const error = await errorOf(vocabulary({ "tokenizer.json": { ...unigram, ...changed } }, UNIGRAM));
    expect(error).toMatchObject({ code: "TOKENIZER_MALFORMED", subject: { file: "tokenizer.json", key } });
  });

  it("is asked for by name when the checkpoint has another kind", async () => {
    const bpe = { ...unigram, model: { type: "BPE", vocab: {}, merges: [] } };
    const error = await errorOf(vocabulary({ "tokenizer.json": bpe }, UNIGRAM));
    expect(error.code).toBe("TOKENIZER_MISSING");
    expect(error.message).toContain("sentencepiece.bpe.model or tokenizer.json with model.type Unigram");
  });
});

describe("Unigram from sentencepiece.bpe.model", () => {
  const file = "sentencepiece.bpe.model";
  const bytes = new Uint8Array(readFileSync(new URL(file, golden)));

  it("puts the tokens of fairseq in the place of the first three pieces", async () => {
    const metadata = await vocabulary({ [file]: bytes }, { ...UNIGRAM, vocabularySize: 383 });
    const tokens = value(metadata, "ggml.tokens") as string[];
    expect(tokens).toHaveLength(383);
    expect(tokens.slice(0, 6)).toEqual(["<s>", "<pad>", "</s>", "<unk>", "<ctl>", "<user>"]);
    expect(tokens.slice(381)).toEqual(["[PAD380]", "[PAD381]"]);
    expect((value(metadata, "ggml.token_type") as number[]).slice(380)).toEqual([5, 5, 5]);
    expect((value(metadata, "ggml.scores") as number[]).at(-1)).toBe(-10_000);
  });

  it("comes before tokenizer.json", async () => {
    const metadata = await vocabulary({ [file]: bytes, "tokenizer.json": unigram }, UNIGRAM);
    expect(value(metadata, "ggml.tokens")).toHaveLength(380);
  });

  it("must be Unigram", async () => {
    const bpe = [0x12, 2, 0x18, 2];
    const error = await errorOf(vocabulary({ [file]: Uint8Array.of(...bytes, ...bpe) }, UNIGRAM));
    expect(error).toMatchObject({
      code: "TOKENIZER_MALFORMED",
      subject: { file, key: "trainer_spec.model_type" },
    });
    expect(error.message).toContain("1 (Unigram), not 2");
  });

  it("must hold a trie that fits", async () => {
    const normalizer = [0x1a, 6, 0x12, 4, 1, 2, 3, 4];
    const error = await errorOf(vocabulary({ [file]: Uint8Array.of(...bytes, ...normalizer) }, UNIGRAM));
    expect(error).toMatchObject({
      code: "TOKENIZER_MALFORMED",
      subject: { file, key: "precompiled_charsmap" },
    });
  });

  it("gives a vocabulary or a QuernError when damaged", async () => {
    const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(damage, async (changes) => {
        const damaged = Uint8Array.from(bytes);
        for (const [place, byte] of changes) damaged[place % damaged.length] = byte;
        const result: unknown = await vocabulary({ [file]: damaged }, UNIGRAM).catch(
          (error: unknown) => error,
        );
        expect([Map, QuernError].some((type) => result instanceof type)).toBe(true);
      }),
    );
  });
});
