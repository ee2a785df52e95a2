import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { partialPathOf, reportingAs } from "@quern/tensor/node";
import type { ConversionIdentity } from "./identity.ts";
import type { JournalOwner } from "./owner.ts";
import { parseHeader, parseRecord, type TensorRecord } from "./records.ts";

/** What a journal says. */
export interface JournalState {
  readonly path: string;
  /** Of the conversion; undefined where another program has written it. */
  readonly identity: ConversionIdentity | undefined;
  /** Who writes, unless everything has been closed. */
  readonly owner: JournalOwner | undefined;
  /** In the order in which they were finished. */
  readonly tensors: readonly TensorRecord[];
  /** Notes of factors that have been chosen; their contents are not checked. */
  readonly factors: readonly object[];
  /** Outputs whose files may bear their final names. */
  readonly finishing: ReadonlySet<number>;
  /** Bytes of all lines that are whole. */
  readonly bytes: number;
}

/** The file beside partial files that says what of them is complete. @param firstFile Final path of the first one. */
export function journalPathOf(firstFile: string): string {
  return `${partialPathOf(firstFile)}.journal`;
}

/** Far more than a line has: an identity, or what became of a tensor in many outputs. */
const LONGEST_LINE = 2 ** 26;

/**
 * Reads a journal as far as its lines are whole: the last one may have been torn by a crash.
 *
 * @returns undefined where there is none, or not even its first line
 * @throws QuernError `OUTPUT_NOT_WRITABLE`, `OUTPUT_WRITE_FAILED` when it cannot be read
 */
export async function readJournal(path: string): Promise<JournalState | undefined> {
  const tensors: TensorRecord[] = [];
  const factors: object[] = [];
  const finishing = new Set<number>();
  const lines = await readLines(path, (line) => {
    const record = parseRecord(line);
    if (record === undefined) return false;
    if ("finishing" in record) finishing.add(record.finishing);
    else if ("tensor" in record) tensors.push(record);
    else if ("factors" in record) factors.push(record);
    return true;
  });
  if (lines === undefined) return undefined;
  const { first, owner, bytes } = lines;
  return { path, identity: parseHeader(first)?.identity, owner, tensors, factors, finishing, bytes };
}

/** Lines of a journal, whatever they note. */
export interface JournalLines {
  readonly path: string;
  readonly first: string;
  /** Who writes, unless everything has been closed. */
  readonly owner: JournalOwner | undefined;
  /** Bytes of all lines that are whole. */
  readonly bytes: number;
}

/**
 * Reads the lines of a journal as far as they are whole.
 *
 * @param take Gets each behind the first; false ends it, and the line does not count.
 * @returns undefined where there is none, or not even its first line
 * @throws QuernError `OUTPUT_NOT_WRITABLE`, `OUTPUT_WRITE_FAILED` when it cannot be read
 */
export async function readLines(
  path: string,
  take: (line: string) => boolean,
): Promise<JournalLines | undefined> {
  if ((await stat(path).catch(() => undefined))?.isFile() !== true) return undefined;
  let first: string | undefined;
  let owner: JournalOwner | undefined;
  let bytes = 0;
  await reportingAs(path, async () => {
    for await (const line of wholeLines(path)) {
      if (first === undefined) first = line;
      else if (!take(line)) break;
      else {
        const record = parseRecord(line);
        if (record !== undefined && "owner" in record) owner = record.owner;
        else if (record !== undefined && "closed" in record) owner = undefined;
      }
      bytes += Buffer.byteLength(line) + 1;
    }
  });
  return first === undefined ? undefined : { path, first, owner, bytes };
}

async function* wholeLines(path: string): AsyncGenerator<string, void, undefined> {
  let rest: Buffer[] = [];
  let length = 0;
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(NEWLINE, start);
      if (end < 0) break;
      yield Buffer.concat([...rest, chunk.subarray(start, end)]).toString("utf8");
      rest = [];
      length = 0;
      start = end + 1;
    }
    rest.push(chunk.subarray(start));
    length += chunk.byteLength - start;
    if (length > LONGEST_LINE) return;
  }
}

const NEWLINE = 0x0a;
