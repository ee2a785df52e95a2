import { QuernError } from "@quern/tensor";
import { ProtobufReader, WIRE_TYPE } from "./protobuf-reader.ts";
import { LARGEST_VOCABULARY, TOKEN_TYPE } from "./token-list.ts";

/** `ModelProto.SentencePiece.Type` (sentencepiece_model.proto). */
export const PIECE_TYPE = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/** SentencePiece types that GGUF keeps; user-defined pieces are normal tokens there. */
const TOKEN_TYPES: ReadonlyMap<number, number> = new Map([
  [PIECE_TYPE.unknown, TOKEN_TYPE.unknown],
  [PIECE_TYPE.control, TOKEN_TYPE.control],
  [PIECE_TYPE.unused, TOKEN_TYPE.unused],
  [PIECE_TYPE.byte, TOKEN_TYPE.byte],
]);

/** The GGUF token type of a piece of a {@link PIECE_TYPE}. */
export function tokenTypeOf(pieceType: number): number {
  return TOKEN_TYPES.get(pieceType) ?? TOKEN_TYPE.normal;
}

/** `TrainerSpec.ModelType` (sentencepiece_model.proto). */
export const MODEL_TYPE = { unigram: 1, bpe: 2, word: 3, char: 4 } as const;

/** What is done to text before it is cut (`NormalizerSpec` of sentencepiece_model.proto). */
export interface SentencePieceNormalizer {
  /** Replacements of characters, in a binary format of SentencePiece; empty when there are none. */
  readonly charsmap: Uint8Array;
  /** Whether a space is put before the text. */
  readonly addDummyPrefix: boolean;
  /** Whether spaces at the ends, and all but one between words, are taken away. */
  readonly removeExtraWhitespaces: boolean;
}

/** A SentencePiece model: its pieces, in the order of their ids, and how it treats text. */
export interface SentencePieceModel {
  readonly pieces: readonly string[];
  readonly scores: readonly number[];
  /** Values of {@link PIECE_TYPE}. */
  readonly types: readonly number[];
  /** A value of {@link MODEL_TYPE}. */
  readonly modelType: number;
  readonly normalizer: SentencePieceNormalizer;
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

/** Numbers of the fields that are read, by message of sentencepiece_model.proto. */
const MODEL = { pieces: 1, trainer: 2, normalizer: 3 } as const;
const PIECE = { piece: 1, score: 2, type: 3 } as const;
const TRAINER = { modelType: 3 } as const;
const NORMALIZER = { charsmap: 2, addDummyPrefix: 3, removeExtraWhitespaces: 4 } as const;

/**
 * Reads a SentencePiece `ModelProto`, of BPE and Unigram alike.
 *
 * @throws QuernError `PROTOBUF_MALFORMED`, `TOKENIZER_MALFORMED`
 */
export function parseSentencePieceModel(params: { bytes: Uint8Array; file: string }): SentencePieceModel {
  const { file } = params;
  const model = { pieces: [] as string[], scores: [] as number[], types: [] as number[] };
  const normalizer: Writable<SentencePieceNormalizer> = {
    charsmap: new Uint8Array(),
    addDummyPrefix: true,
    removeExtraWhitespaces: true,
  };
  let modelType: number = MODEL_TYPE.unigram;
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const reader = new ProtobufReader(params);
  for (let field = reader.nextField(); field !== undefined; field = reader.nextField()) {
    const message = field.wireType === WIRE_TYPE.bytes ? field.number : undefined;
    if (message === MODEL.pieces) {
      if (model.pieces.length === LARGEST_VOCABULARY) {
        throw malformed(file, `it has more than ${LARGEST_VOCABULARY} pieces`);
      }
      readPiece(reader.readMessage(), { model, decoder, file });
    } else if (message === MODEL.trainer) {
      modelType = readModelType(reader.readMessage()) ?? modelType;
    } else if (message === MODEL.normalizer) readNormalizer(reader.readMessage(), normalizer);
    else reader.skip(field);
  }
  if (model.pieces.length === 0) throw malformed(file, "it has no pieces");
  return { ...model, modelType, normalizer };
}

function readModelType(reader: ProtobufReader): number | undefined {
  let modelType: number | undefined;
  for (let field = reader.nextField(); field !== undefined; field = reader.nextField()) {
    const found = field.number === TRAINER.modelType && field.wireType === WIRE_TYPE.varint;
    if (found) modelType = reader.readVarint();
    else reader.skip(field);
  }
  return modelType;
}

function readNormalizer(reader: ProtobufReader, normalizer: Writable<SentencePieceNormalizer>): void {
  for (let field = reader.nextField(); field !== undefined; field = reader.nextField()) {
    const { number, wireType } = field;
    if (number === NORMALIZER.charsmap && wireType === WIRE_TYPE.bytes) {
      normalizer.charsmap = reader.readBytes();
    } else if (number === NORMALIZER.addDummyPrefix && wireType === WIRE_TYPE.varint) {
      normalizer.addDummyPrefix = reader.readVarint() !== 0;
    } else if (number === NORMALIZER.removeExtraWhitespaces && wireType === WIRE_TYPE.varint) {
      normalizer.removeExtraWhitespaces = reader.readVarint() !== 0;
    } else reader.skip(field);
  }
}

function readPiece(
  reader: ProtobufReader,
  params: {
    model: { pieces: string[]; scores: number[]; types: number[] };
    decoder: TextDecoder;
    file: string;
  },
): void {
  const { model, decoder, file } = params;
  const id = model.pieces.length;
  let piece = "";
  let score = 0;
  let type: number = PIECE_TYPE.normal;
  for (let field = reader.nextField(); field !== undefined; field = reader.nextField()) {
    if (field.number === PIECE.piece && field.wireType === WIRE_TYPE.bytes) {
      try {
        piece = decoder.decode(reader.readBytes());
      } catch (cause) {
        if (cause instanceof QuernError) throw cause;
        throw malformed(file, `piece ${id} is not UTF-8`, cause);
      }
    } else if (field.number === PIECE.score && field.wireType === WIRE_TYPE.fixed32)
      score = reader.readFloat();
    else if (field.number === PIECE.type && field.wireType === WIRE_TYPE.varint) type = reader.readVarint();
    else reader.skip(field);
  }
  model.pieces.push(piece);
  model.scores.push(score);
  model.types.push(type);
}

function malformed(file: string, reason: string, cause?: unknown): QuernError {
  return new QuernError("TOKENIZER_MALFORMED", `${file} is not a usable SentencePiece model: ${reason}.`, {
    subject: { file },
    cause,
  });
}
