import { QuernError } from "@quern/tensor";
import { ByteCursor } from "../codec/byte-cursor.ts";
import { CODECS } from "../codec/codecs.ts";
import { EncodedString } from "../codec/encoded-string.ts";
import { readString } from "../codec/string-codec.ts";
import { alignmentOf } from "../alignment.ts";
import { alignUp } from "../align-up.ts";
import type { GgufPlacedTensor } from "../layout.ts";
import type { GgufMetadata, GgufScalar, GgufScalarType, GgufValue } from "../value.ts";
import {
  checkTensorRanges,
  readTensorEntry,
  SMALLEST_TENSOR_ENTRY,
  type TensorEntry,
} from "./tensor-table.ts";

/** Everything in front of the tensor data. */
export interface GgufHeader {
  readonly version: number;
  readonly metadata: GgufMetadata;
  /** In the order of the table. */
  readonly tensors: ReadonlyMap<string, GgufPlacedTensor>;
  readonly alignment: number;
  readonly dataOffset: number;
}

const MAGIC = 0x46554747; // "GGUF" in little-endian order

/** A key of one byte, a type and a value of one byte. */
const SMALLEST_PAIR = 8 + 1 + 4 + 1;

/**
 * Parses the beginning of a file, with the checks of `gguf_init_from_reader` (gguf.cpp) and those that it leaves to its callers.
 *
 * @param cursor Stands at the beginning of the file.
 * @throws QuernError with a `GGUF_` code (see `readGguf`), MoreBytesNeeded when the header goes on behind the bytes loaded
 */
export function parseHeader(cursor: ByteCursor): GgufHeader {
  const version = readVersion(cursor);
  const tensorCount = cursor.uint64();
  const pairCount = cursor.uint64();
  cursor.require(
    pairCount * SMALLEST_PAIR + tensorCount * SMALLEST_TENSOR_ENTRY,
    `a header of ${pairCount} metadata values and ${tensorCount} tensors`,
  );

  const metadata: GgufMetadata = new Map();
  for (let index = 0; index < pairCount; index++) readPair(cursor, metadata);
  const alignment = alignmentOf(metadata, cursor.fileName);

  const entries = new Map<string, TensorEntry>();
  for (let index = 0; index < tensorCount; index++) {
    const entry = readTensorEntry(cursor);
    if (entries.has(entry.name)) {
      throw new QuernError(
        "GGUF_DUPLICATE_TENSOR",
        `${cursor.fileName}: tensor "${entry.name}" occurs twice`,
        {
          subject: { file: cursor.fileName, tensor: entry.name, offset: entry.at },
        },
      );
    }
    entries.set(entry.name, entry);
  }
  // Without tensors there is no data to align, and the padding is missing in some files (gguf_get_data_offset, gguf.h).
  const dataOffset = tensorCount === 0 ? cursor.position : alignUp(cursor.position, alignment);

  checkTensorRanges({ entries: entries.values(), dataOffset, alignment, cursor });
  const tensors = new Map<string, GgufPlacedTensor>();
  for (const { name, type, ne, offset, size } of entries.values()) {
    tensors.set(name, { name, type, ne, offset: dataOffset + offset, size });
  }
  return { version, metadata, tensors, alignment, dataOffset };
}

function readVersion(cursor: ByteCursor): number {
  const { fileName } = cursor;
  const fail = (code: string, message: string, offset: number): QuernError =>
    new QuernError(code, `${fileName}: ${message}`, { subject: { file: fileName, offset } });
  const magic = cursor.uint32();
  if (magic !== MAGIC) {
    throw fail(
      "GGUF_NOT_GGUF",
      `not a GGUF file: it starts with 0x${hex(magic)}, expected 0x${hex(MAGIC)} ("GGUF")`,
      0,
    );
  }
  const version = cursor.uint32();
  // A big-endian 3 is 0x03000000 here; gguf.cpp tells the byte order in the same way.
  if (version !== 0 && (version & 0xffff) === 0) {
    throw fail("GGUF_BIG_ENDIAN", "this is a big-endian GGUF file: expected a little-endian one", 4);
  }
  if (version !== 2 && version !== 3) {
    throw fail("GGUF_VERSION_UNSUPPORTED", `GGUF version ${version}: expected 2 or 3`, 4);
  }
  return version;
}

function hex(value: number): string {
  return value.toString(16).padStart(8, "0");
}

function readPair(cursor: ByteCursor, metadata: GgufMetadata): void {
  const at = cursor.position;
  const { fileName } = cursor;
  const key = readString(cursor);
  if (key === "") {
    throw new QuernError("GGUF_KEY_INVALID", `${fileName}: the metadata key at offset ${at} is empty`, {
      subject: { file: fileName, offset: at },
    });
  }
  if (metadata.has(key)) {
    throw new QuernError(
      "GGUF_DUPLICATE_KEY",
      `${fileName}: metadata key "${key}" occurs twice, again at offset ${at}`,
      {
        subject: { file: fileName, key, offset: at },
      },
    );
  }
  const typeAt = cursor.position;
  const id = cursor.uint32();
  const codec = CODECS.byId(id);
  if (codec === undefined) {
    throw new QuernError(
      "GGUF_VALUE_TYPE_UNKNOWN",
      `${fileName}: metadata key "${key}" has unknown type ${id} at offset ${typeAt}`,
      {
        subject: { file: fileName, key, offset: typeAt },
      },
    );
  }
  const valueAt = cursor.position;
  const decoded = codec.decode(cursor);
  const bytes = cursor.bytes.subarray(valueAt, cursor.position);
  metadata.set(
    key,
    typeof decoded === "object" ? decoded : scalarOf(codec.name as GgufScalarType, decoded, bytes),
  );
}

function scalarOf(type: GgufScalarType, value: GgufScalar, bytes: Uint8Array): GgufValue {
  const isLossy = typeof value === "string" && value.includes("\ufffd");
  return isLossy ? new EncodedString({ value, bytes }) : { type, value };
}
