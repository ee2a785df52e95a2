import type { DocumentPart, TextSource, TextTokenizer } from "@quern/corpus";
import { describe, expect, it } from "vitest";
import { goldenModel } from "../testing/golden-plan.ts";
import { collectCalibrationWindows } from "./calibration-windows.ts";

/** Each letter is a token. */
const tokenizer: TextTokenizer = {
  name: "letters",
  vocabularySize: 128,
  bos: 1,
  eos: undefined,
  prefix: [1],
  suffix: [],
  encode: (text) => Int32Array.from(text, (_, index) => text.charCodeAt(index)),
};

function source(length: number, { letter = "a", documents = 1 } = {}): TextSource {
  return {
    name: `${letter}.txt`,
    async *documents(): AsyncGenerator<DocumentPart> {
      for (let document = 0; document < documents; document++) {
        yield { text: letter.repeat(length), document, continues: false, specialTokens: "text" };
      }
    },
  };
}

const model = await goldenModel("llama2-spm");
const rule = { kind: "packed", length: 10 } as const;
const common = { model, tokenizer, rule };

describe("collectCalibrationWindows", () => {
  it("keeps every k-th window of each text apart, and takes as many tokens as are asked for", async () => {
    const sources = [source(900), source(900, { letter: "b" })];
    const windows = await collectCalibrationWindows({ ...common, sources, tokens: 400, holdOut: 5 });
    expect(windows.calibration.windows).toHaveLength(32);
    expect(windows.holdOut!.windows).toHaveLength(8);
    expect(windows.holdOut!.summary.sources.map(({ tokens }) => tokens)).toEqual([40, 40]);
    expect(windows).toMatchObject({ rule, holdOutEvery: 5, warnings: [] });
    expect(windows.calibration.summary.hash).not.toBe(windows.holdOut!.summary.hash);
    const all = await collectCalibrationWindows({ ...common, sources, holdOut: 5 });
    const counts = [all.calibration, all.holdOut!].map((part) => part.windows.length);
    expect(counts).toEqual([160, 40]);
  });

  it("begins sequences anew at documents, but not as llama.cpp cuts texts", async () => {
    const sources = [source(3, { documents: 5 })];
    const packed = await collectCalibrationWindows({ ...common, sources });
    expect(packed.calibration.windows.map(({ starts }) => starts)).toEqual([[0, 4, 8], [0, 3, 7], [0]]);
    const stream = { kind: "stream", length: 10 } as const;
    const streamed = await collectCalibrationWindows({ ...common, rule: stream, sources });
    expect(streamed.calibration.windows.map(({ starts }) => starts)).toEqual([[0], [0]]);
    expect(streamed.holdOut).toBeUndefined();
  });

  it.each([
    ["there are fewer windows than k", 300, undefined],
    ["fewer than k are taken", 900, 40],
  ])("warns when %s, and keeps none apart", async (_, length, tokens) => {
    const windows = await collectCalibrationWindows({
      ...common,
      sources: [source(length)],
      holdOut: 50,
      ...(tokens === undefined ? {} : { tokens }),
    });
    expect(windows.holdOut).toBeUndefined();
    expect(windows.warnings.map(({ code }) => code)).toEqual(["CALIBRATION_NO_HOLD_OUT"]);
    expect(windows.calibration.windows).toHaveLength(tokens === undefined ? 34 : 4);
  });

  it.each([
    ["too little text", { sources: [source(5)] }, "CORPUS_TOO_SHORT"],
    ["too little text for a single window", { sources: [source(5)], tokens: 10 }, "CORPUS_TOO_SHORT"],
    ["no text", { sources: [source(0)] }, "CORPUS_EMPTY"],
    ["no text, with a part kept apart", { sources: [source(0)], holdOut: 10 }, "CORPUS_EMPTY"],
    ["a hold-out of everything", { sources: [source(500)], holdOut: 1 }, "CORPUS_OPTION_INVALID"],
    [
      "the tokenizer of another model",
      { sources: [source(500, { letter: "\u{ffff}" })] },
      "CORPUS_VOCABULARY_MISMATCH",
    ],
  ])("refuses %s", async (_, change, code) => {
    await expect(collectCalibrationWindows({ ...common, ...change })).rejects.toMatchObject({ code });
  });

  it("refuses windows that the model has no positions for", async () => {
    const params = { ...common, model: await goldenModel("gpt2"), sources: [source(500)] };
    const long = { kind: "packed", length: 129 } as const;
    await expect(collectCalibrationWindows({ ...params, rule: long })).rejects.toMatchObject({
      code: "CALIBRATION_WINDOW",
      message: "windows of 129 tokens: the model has positions for 128",
    });
  });
});
