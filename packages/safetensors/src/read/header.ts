import { type ElementType, isElementType, QuernError } from "@quern/tensor";
import { isUnsupportedDtype } from "../dtype.ts";
import { LENGTH_BYTES, METADATA_KEY, type SafetensorsMetadata } from "../format.ts";
import { JsonCursor } from "../json-cursor.ts";

/**
 * Most metadata keys and most dimensions of a tensor that are read. The reference implementation has no such limits, real files
 * stay far below them, and without them a hostile header would take ten times its size in memory.
 */
const MAX_METADATA_KEYS = 100_000;
const MAX_DIMENSIONS = 1024;

/** A tensor as the header states it, not yet checked against its neighbours. */
export interface HeaderEntry {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
  /** First byte, counted from the end of the header. */
  readonly begin: number;
  /** One past the last byte, counted from the end of the header. */
  readonly end: number;
}

export interface ParsedHeader {
  readonly metadata: SafetensorsMetadata;
  readonly entries: readonly HeaderEntry[];
}

/**
 * Parses the JSON of a header.
 *
 * Duplicate keys are refused, as the format says. Unknown keys of an entry are skipped and `"__metadata__": null` counts as
 * no metadata, as the reference implementation does.
 *
 * @param params.bytes The header without its length.
 * @throws QuernError `SAFETENSORS_HEADER_NOT_UTF8`, `SAFETENSORS_BAD_HEADER` (not JSON, or JSON of another structure),
 * `SAFETENSORS_DUPLICATE_KEY`, `SAFETENSORS_UNKNOWN_DTYPE`, `SAFETENSORS_UNSUPPORTED_DTYPE`.
 */
export function parseHeader(params: { bytes: Uint8Array; file: string }): ParsedHeader {
  const { file } = params;
  const text = decodeText(params.bytes, file);
  if (!text.startsWith("{")) {
    throw new QuernError(
      "SAFETENSORS_BAD_HEADER",
      `${file}: offset ${LENGTH_BYTES}: the header begins with ${JSON.stringify(text.slice(0, 8))}, expected "{"`,
      { subject: { file, offset: LENGTH_BYTES } },
    );
  }
  const cursor = new JsonCursor({ text, file, code: "SAFETENSORS_BAD_HEADER", textOffset: LENGTH_BYTES });
  let metadata: SafetensorsMetadata = Object.create(null) as SafetensorsMetadata;
  const entries: HeaderEntry[] = [];
  cursor.object("the header object", (key) => {
    if (key === METADATA_KEY) metadata = readMetadata(cursor);
    else entries.push(readEntry(cursor, key, file));
  });
  cursor.end();
  return { metadata, entries };
}

function decodeText(bytes: Uint8Array, file: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new QuernError("SAFETENSORS_HEADER_NOT_UTF8", `${file}: the header is not UTF-8 text`, {
      subject: { file, offset: LENGTH_BYTES },
      cause,
    });
  }
}

function readMetadata(cursor: JsonCursor): SafetensorsMetadata {
  const metadata = Object.create(null) as Record<string, string>;
  if (cursor.takeNull()) return metadata;
  let count = 0;
  cursor.object(`an object of strings (${METADATA_KEY})`, (key) => {
    if (++count > MAX_METADATA_KEYS)
      throw cursor.error(`more than ${MAX_METADATA_KEYS} keys in ${METADATA_KEY}`);
    metadata[key] = cursor.string(`a string (value of ${JSON.stringify(key)} in ${METADATA_KEY})`);
  });
  return metadata;
}

function readEntry(cursor: JsonCursor, name: string, file: string): HeaderEntry {
  const label = `tensor ${JSON.stringify(name)}`;
  let dtype: string | undefined;
  let shape: number[] | undefined;
  let offsets: number[] | undefined;
  const fields: Readonly<Record<string, () => void>> = {
    dtype: () => (dtype = cursor.string(`a string (dtype of ${label})`)),
    shape: () => (shape = readCounts(cursor, `shape of ${label}`, MAX_DIMENSIONS)),
    data_offsets: () => (offsets = readCounts(cursor, `data_offsets of ${label}`, 2)),
  };
  cursor.object(`an object (${label})`, (key) => {
    if (Object.hasOwn(fields, key)) fields[key]!();
    else cursor.skipValue();
  });
  const subject = { file, tensor: name };
  if (dtype === undefined || shape === undefined || offsets === undefined || offsets.length !== 2) {
    throw new QuernError(
      "SAFETENSORS_BAD_HEADER",
      `${file}: ${label}: expected "dtype", "shape" and "data_offsets" of two numbers`,
      { subject },
    );
  }
  if (!isElementType(dtype)) {
    const known = isUnsupportedDtype(dtype);
    throw new QuernError(
      known ? "SAFETENSORS_UNSUPPORTED_DTYPE" : "SAFETENSORS_UNKNOWN_DTYPE",
      `${file}: ${label}: dtype ${JSON.stringify(dtype)} is ${known ? "in the format but not supported here" : "unknown"}`,
      { subject },
    );
  }
  return { name, type: dtype, shape, begin: offsets[0]!, end: offsets[1]! };
}

function readCounts(cursor: JsonCursor, what: string, limit: number): number[] {
  const counts: number[] = [];
  cursor.array(`an array (${what})`, () => {
    if (counts.length === limit) throw cursor.error(`more than ${limit} numbers in ${what}`);
    counts.push(cursor.count(`an integer from 0 to 2^53 - 1 (${what})`));
  });
  return counts;
}
