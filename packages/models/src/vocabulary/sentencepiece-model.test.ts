import { existsSync, readFileSync, readdirSync } from "node:fs";
import { QuernError } from "@quern/tensor";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MODEL_TYPE, PIECE_TYPE, parseSentencePieceModel } from "./sentencepiece-model.ts";

const golden = new URL("../../../../fixtures/golden/", import.meta.url);
const file = "tokenizer.model";

interface Piece {
  readonly text: string;
  readonly score?: number;
  readonly type?: number;
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value % 0x80) | 0x80, ...varint(Math.floor(value / 0x80))];
}

function field(number: number, wireType: number, bytes: readonly number[]): number[] {
  return [...varint(number * 8 + wireType), ...bytes];
}

function message(number: number, bytes: readonly number[]): number[] {
  return field(number, 2, [...varint(bytes.length), ...bytes]);
}

function float(value: number): number[] {
  return [...new Uint8Array(new Float32Array([value]).buffer)];
}

function encoded({ text, score, type }: Piece): number[] {
  return message(1, [
    ...message(1, [...new TextEncoder().encode(text)]),
    ...(score === undefined ? [] : field(2, 5, float(score))),
    ...(type === undefined ? [] : field(3, 0, varint(type))),
  ]);
}

function parse(bytes: readonly number[] | Uint8Array): ReturnType<typeof parseSentencePieceModel> {
  return parseSentencePieceModel({ bytes: Uint8Array.from(bytes), file });
}

function errorOf(bytes: readonly number[]): QuernError {
  try {
    parse(bytes);
  } catch (error) {
    return error as QuernError;
  }
  return expect.unreachable("no error");
}

/** Number of pieces, or the kind of error. */
function outcomeOf(bytes: Uint8Array): number | string {
  try {
    return parse(bytes).pieces.length;
  } catch (error) {
    return error instanceof QuernError ? "QuernError" : String(error);
  }
}

describe("SentencePiece model", () => {
  it("keeps pieces, scores and types, and skips all other fields", () => {
    const bytes = [
      ...message(2, message(1, [1, 2, 3])),
      ...message(4, [1, 2, 3]),
      ...encoded({ text: "<unk>", score: 0, type: PIECE_TYPE.unknown }),
      ...encoded({ text: "▁the", score: -1.5 }),
      ...field(9, 1, [1, 2, 3, 4, 5, 6, 7, 8]),
      ...field(10, 5, [1, 2, 3, 4]),
      ...field(11, 0, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
      ...encoded({ text: "" }),
    ];
    expect(parse(bytes)).toEqual({
      pieces: ["<unk>", "▁the", ""],
      scores: [0, -1.5, 0],
      types: [PIECE_TYPE.unknown, PIECE_TYPE.normal, PIECE_TYPE.normal],
      modelType: MODEL_TYPE.unigram,
      normalizer: { charsmap: new Uint8Array(), addDummyPrefix: true, removeExtraWhitespaces: true },
    });
  });

  it("knows the algorithm and what is done to text", () => {
    const { modelType, normalizer } = parse([
      ...message(2, [...message(2, [1]), ...field(3, 0, [MODEL_TYPE.bpe]), ...field(4, 0, [7])]),
      ...message(3, [...message(1, [0x78]), ...message(2, [5, 6]), ...field(3, 0, [0]), ...field(5, 0, [1])]),
      ...encoded({ text: "a" }),
      // The parts of a message that comes twice are joined.
      ...message(3, field(4, 0, [0])),
    ]);
    expect(modelType).toBe(MODEL_TYPE.bpe);
    expect(normalizer).toEqual({
      charsmap: Uint8Array.of(5, 6),
      addDummyPrefix: false,
      removeExtraWhitespaces: false,
    });
  });

  it("reads back any pieces", () => {
    const piece = fc.record({
      text: fc.string({ unit: "grapheme" }),
      score: fc.float({ noNaN: true }),
      type: fc.integer({ min: 1, max: 6 }),
    });
    fc.assert(
      fc.property(fc.array(piece, { minLength: 1, maxLength: 20 }), (pieces) => {
        const model = parse(pieces.flatMap(encoded));
        expect(model.pieces).toEqual(pieces.map(({ text }) => text));
        expect(model.scores).toEqual(pieces.map(({ score }) => score));
        expect(model.types).toEqual(pieces.map(({ type }) => type));
      }),
    );
  });

  it.each([
    ["a length beyond the end", [...encoded({ text: "a" }), 0x0a, 0x7f, 0x00], "PROTOBUF_MALFORMED", 7],
    ["an end within a number", [0x8a], "PROTOBUF_MALFORMED", 1],
    ["a number without end", Array.from({ length: 12 }, () => 0xff), "PROTOBUF_MALFORMED", 10],
    ["field number 0", [0x02, 0x00], "PROTOBUF_MALFORMED", 1],
    ["a group", [0x0b], "PROTOBUF_MALFORMED", 1],
    ["a trainer that ends within a number", message(2, [0x18, 0x80]), "PROTOBUF_MALFORMED", 4],
    ["a normalizer of field number 0", message(3, [0x02, 0x00]), "PROTOBUF_MALFORMED", 3],
    ["a piece that ends within its score", message(1, field(2, 5, [0, 0])), "PROTOBUF_MALFORMED", 3],
    ["a piece that is not UTF-8", message(1, message(1, [0xff])), "TOKENIZER_MALFORMED", undefined],
    ["no pieces", message(2, []), "TOKENIZER_MALFORMED", undefined],
  ])("rejects %s", (_, bytes, code, offset) => {
    const error = errorOf(bytes);
    expect(error).toBeInstanceOf(QuernError);
    expect(error.code).toBe(code);
    expect(error.subject).toEqual(offset === undefined ? { file } : { file, offset });
    expect(error.message).toContain(file);
  });

  it("answers damage to real models with a QuernError or with pieces", () => {
    const paths = readdirSync(golden)
      .flatMap((name) => [file, "sentencepiece.bpe.model"].map((model) => `${name}/checkpoint/${model}`))
      .filter((path) => existsSync(new URL(path, golden)));
    expect(paths.length).toBeGreaterThan(4);
    const models = paths.map((path) => readFileSync(new URL(path, golden)));
    const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(fc.constantFrom(...models), damage, fc.option(fc.nat()), (model, changes, cut) => {
        const bytes = Uint8Array.from(model);
        for (const [place, value] of changes) bytes[place % bytes.length] = value;
        const outcome = outcomeOf(cut === null ? bytes : bytes.subarray(0, cut % bytes.length));
        expect(outcome === "QuernError" || Number(outcome) > 0).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });
});
