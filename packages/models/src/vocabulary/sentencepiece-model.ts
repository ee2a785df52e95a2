import { QuernError } from "@quern/tensor";
import { ProtobufReader, WIRE_TYPE } from "./protobuf-reader.ts";
import { LARGEST_VOCABULARY } from "./token-list.ts";

/** `ModelProto.SentencePiece.Type` (sentencepiece_model.proto). */
export const PIECE_TYPE = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/** The pieces of a SentencePiece model, in the order of their ids. */
export interface SentencePieceModel {
  readonly pieces: readonly string[];
  readonly scores: readonly number[];
  /** Values of {@link PIECE_TYPE}. */
  readonly types: readonly number[];
}

/** Field numbers of sentencepiece_model.proto: ModelProto.pieces, and piece, score and type of its SentencePiece. */
const PIECES = 1;
const PIECE = 1;
const SCORE = 2;
const TYPE = 3;

/**
 * Reads the pieces of a SentencePiece `ModelProto` (BPE and Unigram alike); the trainer and normalizer specifications are skipped.
 *
 * @throws QuernError `PROTOBUF_MALFORMED`, `TOKENIZER_MALFORMED`
 */
export function parseSentencePieceModel(params: { bytes: Uint8Array; file: string }): SentencePieceModel {
  const { file } = params;
  const model = { pieces: [] as string[], scores: [] as number[], types: [] as number[] };
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const reader = new ProtobufReader(params);
  for (let field = reader.nextField(); field !== undefined; field = reader.nextField()) {
    if (field.number !== PIECES || field.wireType !== WIRE_TYPE.bytes) {
      reader.skip(field);
      continue;
    }
    if (model.pieces.length === LARGEST_VOCABULARY) {
      throw malformed(file, `it has more than ${LARGEST_VOCABULARY} pieces`);
    }
    readPiece(reader.readMessage(), { model, decoder, file });
  }
  if (model.pieces.length === 0) throw malformed(file, "it has no pieces");
  return model;
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
    if (field.number === PIECE && field.wireType === WIRE_TYPE.bytes) {
      try {
        piece = decoder.decode(reader.readBytes());
      } catch (cause) {
        if (cause instanceof QuernError) throw cause;
        throw malformed(file, `piece ${id} is not UTF-8`, cause);
      }
    } else if (field.number === SCORE && field.wireType === WIRE_TYPE.fixed32) score = reader.readFloat();
    else if (field.number === TYPE && field.wireType === WIRE_TYPE.varint) type = reader.readVarint();
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
