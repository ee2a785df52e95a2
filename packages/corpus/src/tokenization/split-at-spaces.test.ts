import { describe, expect, it } from "vitest";
import type { TokenizerDefinition } from "./library-tokenizer.ts";
import { splitAtSpaces } from "./split-at-spaces.ts";

const definition = (
  model: Readonly<Record<string, unknown>>,
  preTokenizer: TokenizerDefinition["pre_tokenizer"] = null,
): TokenizerDefinition => ({
  model: { type: "BPE", merges: ["▁ a", ["▁a", "b"], ["▁", "▁"]], ...model },
  added_tokens: [],
  normalizer: null,
  pre_tokenizer: preTokenizer,
  post_processor: null,
  decoder: null,
});

describe("cutting at spaces", () => {
  it("comes after Metaspace, or alone", () => {
    const split = expect.objectContaining({ type: "Split", pattern: { Regex: "▁*[^▁]+|▁+" } });
    const metaspace = { type: "Metaspace" };
    expect(splitAtSpaces(definition({})).pre_tokenizer).toEqual({ type: "Sequence", pretokenizers: [split] });
    expect(splitAtSpaces(definition({}, metaspace)).pre_tokenizer).toEqual({
      type: "Sequence",
      pretokenizers: [metaspace, split],
    });
  });

  it.each([
    ["a merge over a space", definition({ merges: [["a", "▁b"]] })],
    ["a merge over a space, as text", definition({ merges: ["a ▁"] })],
    ["whole words before merges", definition({ ignore_merges: true })],
    ["a pre-tokenizer", definition({}, { type: "ByteLevel" })],
    ["another model", definition({ type: "Unigram" })],
  ])("is not done with %s", (_, unsuitable) => {
    expect(splitAtSpaces(unsuitable)).toBe(unsuitable);
  });
});
