import { QuernError } from "@quern/tensor";
import type { ByteCursor } from "./byte-cursor.ts";
import type { ByteWriter } from "./byte-writer.ts";
import type { GgufElement, ValueCodec } from "./codec.ts";
import { EncodedArray } from "./encoded-array.ts";

/** Most arrays within one another. Nothing in use nests deeper than two; a bomb would. */
const MAX_ARRAY_DEPTH = 8;

/** Finds the codec of a value type. */
export interface CodecTable {
  byName(name: string): ValueCodec | undefined;
  byId(id: number): ValueCodec | undefined;
}

/** The type of the elements in 4 bytes, their number in 8, then the elements. */
export function arrayCodec(table: CodecTable): ValueCodec {
  function skip(cursor: ByteCursor, count: number, depth: number): void {
    for (let index = 0; index < count; index++) {
      const { codec, length } = takeHead(cursor, table);
      if (depth >= MAX_ARRAY_DEPTH) {
        throw new QuernError(
          "GGUF_NESTING_TOO_DEEP",
          `${cursor.fileName}: more than ${MAX_ARRAY_DEPTH} arrays within one another at offset ${cursor.position}`,
          { subject: { file: cursor.fileName, offset: cursor.position } },
        );
      }
      codec.skip(cursor, length, depth + 1);
    }
  }

  function decode(cursor: ByteCursor): EncodedArray {
    const { codec, length } = takeHead(cursor, table);
    const start = cursor.position;
    codec.skip(cursor, length, 1);
    const bytes = cursor.bytes.subarray(start, cursor.position);
    return new EncodedArray({ codec, length, bytes, fileName: cursor.fileName });
  }

  function accepts(value: GgufElement, depth = 0): boolean {
    if (typeof value !== "object" || value.type !== "array" || depth >= MAX_ARRAY_DEPTH) return false;
    const codec = table.byName(value.elements);
    if (codec === undefined || !Number.isSafeInteger(value.length) || value.length < 0) return false;
    if (value instanceof EncodedArray) return true;
    let count = 0;
    for (const element of value) {
      const valid = codec.name === "array" ? accepts(element, depth + 1) : codec.accepts(element);
      if (!valid || ++count > value.length) return false;
    }
    return count === value.length;
  }

  function encode(writer: ByteWriter, value: GgufElement): void {
    if (typeof value !== "object") return;
    const codec = table.byName(value.elements);
    if (codec === undefined) return;
    writer.uint32(codec.id);
    writer.uint64(value.length);
    if (value instanceof EncodedArray) writer.bytes(value.bytes);
    else for (const element of value) codec.encode(writer, element);
  }

  return {
    id: 9,
    name: "array",
    minSize: 12,
    fixedSize: false,
    expected: `an array of \`length\` elements of its type, at most ${MAX_ARRAY_DEPTH} within one another`,
    accepts: (value) => accepts(value),
    skip,
    decode,
    encode,
  };
}

function takeHead(cursor: ByteCursor, table: CodecTable): { codec: ValueCodec; length: number } {
  const at = cursor.position;
  const id = cursor.uint32();
  const codec = table.byId(id);
  if (codec === undefined) {
    throw new QuernError(
      "GGUF_VALUE_TYPE_UNKNOWN",
      `${cursor.fileName}: unknown type ${id} of array elements at offset ${at}`,
      {
        subject: { file: cursor.fileName, offset: at },
      },
    );
  }
  const length = cursor.uint64();
  cursor.require(length * codec.minSize, `an array of ${length} elements of type ${codec.name}`);
  return { codec, length };
}
