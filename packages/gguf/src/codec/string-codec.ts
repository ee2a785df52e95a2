import { QuernError } from "@quern/tensor";
import type { ByteCursor } from "./byte-cursor.ts";
import type { ByteWriter } from "./byte-writer.ts";
import type { ValueCodec } from "./codec.ts";

/** Most bytes in a string (gguf.cpp, `GGUF_MAX_STRING_LENGTH`). */
const MAX_STRING_LENGTH = 2 ** 30;

const LONE_SURROGATE = /\p{Surrogate}/u;

// Strings may hold any bytes: what is not UTF-8 decodes to U+FFFD. A leading byte order mark is part of the string.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** A length of 8 bytes, then UTF-8 without a terminating zero. */
export const STRING_CODEC: ValueCodec = {
  id: 8,
  name: "string",
  minSize: 8,
  fixedSize: false,
  expected: "a string without lone surrogates",
  accepts: (value) => typeof value === "string" && !LONE_SURROGATE.test(value),
  skip(cursor, count) {
    for (let index = 0; index < count; index++) skipString(cursor);
  },
  decode: readString,
  encode(writer, value) {
    writeString(writer, value as string);
  },
};

export function readString(cursor: ByteCursor): string {
  const length = takeLength(cursor);
  const start = cursor.take(length);
  return decoder.decode(cursor.bytes.subarray(start, start + length));
}

export function writeString(writer: ByteWriter, value: string): void {
  const { offset } = writer.reserve(8);
  writer.setUint64(offset, writer.utf8(value));
}

function skipString(cursor: ByteCursor): void {
  cursor.take(takeLength(cursor));
}

function takeLength(cursor: ByteCursor): number {
  const length = cursor.uint64();
  cursor.require(length, "a string");
  if (length <= MAX_STRING_LENGTH) return length;
  throw new QuernError(
    "GGUF_STRING_TOO_LONG",
    `${cursor.fileName}: the string at offset ${cursor.position} has ${length} bytes: expected at most ${MAX_STRING_LENGTH}`,
    { subject: { file: cursor.fileName, offset: cursor.position } },
  );
}
