import type { ByteSource } from "@quern/tensor";
import { QuernError } from "@quern/tensor";
import { parquetMetadataAsync, parquetReadObjects, parquetSchema } from "hyparquet";
import type { AsyncBuffer, FileMetaData } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import type { JsonObject } from "../json.ts";
import type { DocumentPart } from "./document.ts";
import { chooseColumn } from "./record-reader.ts";
import type { RecordReader } from "./record-reader.ts";

/** Bytes of the column in one row group, decompressed: what must be in memory at once. */
const LARGEST_COLUMN_CHUNK = 2 ** 29;

/** Bytes of the footer. */
const LARGEST_FOOTER = 2 ** 28;

/**
 * A Parquet file: a document for each row, read one row group after another, one column of it.
 *
 * @param params.column As in `recordReader`.
 * @throws QuernError `CORPUS_PARQUET_MALFORMED`, `CORPUS_TOO_LONG` for a row group that does not fit in memory, what the record
 * reader throws, `SOURCE_*`
 */
export async function* parquetParts(params: {
  source: ByteSource;
  reader: RecordReader;
  column?: string;
}): AsyncGenerator<DocumentPart, void, undefined> {
  const { source, reader } = params;
  const file = asyncBuffer(source);
  await checkFooter(source);
  const metadata = await guarded(source, () => parquetMetadataAsync(file));
  const names = parquetSchema(metadata).children.map(({ element }) => element.name);
  const wanted = params.column === undefined ? undefined : [params.column];
  const column = chooseColumn(names, wanted, { file: source.name, where: source.name });

  let document = 0;
  for (const group of metadata.row_groups) {
    checkColumnSize(group, column, source);
    const rowStart = document;
    const rowEnd = rowStart + Number(group.num_rows);
    const rows = await guarded(source, () =>
      parquetReadObjects({ file, metadata, columns: [column], rowStart, rowEnd, compressors }),
    );
    if (rows.length !== rowEnd - rowStart) {
      throw malformed(source, `${rowEnd - rowStart} rows are announced, ${rows.length} are there`);
    }
    for (const row of rows) {
      const where = `${source.name}, row ${document}`;
      yield { ...reader(row as JsonObject, { file: source.name, where }), document, continues: false };
      document += 1;
    }
  }
}

/** The footer's length stands before the last four bytes; what it says is not read before it is checked. */
async function checkFooter(source: ByteSource): Promise<void> {
  const smallest = 12;
  if (source.size < smallest) throw malformed(source, `a file of ${source.size} bytes is too short`);
  const tail = await source.read(source.size - 8, 8);
  if (new TextDecoder("latin1").decode(tail.subarray(4)) !== "PAR1")
    throw malformed(source, "it does not end with PAR1");
  const length = new DataView(tail.buffer, tail.byteOffset).getUint32(0, true);
  if (length > source.size - smallest || length > LARGEST_FOOTER) {
    throw malformed(source, `a footer of ${length} bytes is announced in a file of ${source.size}`);
  }
}

function checkColumnSize(
  group: FileMetaData["row_groups"][number],
  column: string,
  source: ByteSource,
): void {
  let bytes = 0;
  for (const { meta_data: chunk } of group.columns) {
    if (chunk?.path_in_schema[0] === column) bytes += Number(chunk.total_uncompressed_size);
  }
  if (bytes <= LARGEST_COLUMN_CHUNK) return;
  throw new QuernError(
    "CORPUS_TOO_LONG",
    `${source.name}: a row group has ${bytes} bytes of "${column}"; at most ${LARGEST_COLUMN_CHUNK} are read at once. Write the file with smaller row groups.`,
    { subject: { file: source.name, key: column } },
  );
}

function asyncBuffer(source: ByteSource): AsyncBuffer {
  return {
    byteLength: source.size,
    async slice(start, end = source.size) {
      const bytes = await source.read(start, end - start);
      // A view of a larger buffer would give the reader the whole of that.
      return bytes.slice().buffer;
    },
  };
}

async function guarded<T>(source: ByteSource, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    if (cause instanceof QuernError && cause.code !== "SOURCE_OUT_OF_RANGE") throw cause;
    throw malformed(source, (cause as Error).message, cause);
  }
}

function malformed({ name }: ByteSource, reason: string, cause?: unknown): QuernError {
  return new QuernError("CORPUS_PARQUET_MALFORMED", `${name} cannot be read as Parquet: ${reason}.`, {
    subject: { file: name },
    cause,
  });
}
