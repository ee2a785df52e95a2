import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { partialPathOf, reportingAs } from "@quern/tensor/node";
import type { ConversionIdentity } from "./identity.ts";
import type { JournalOwner } from "./owner.ts";
import { ownerAfter, parseHeader, parseRecord, type TensorRecord } from "./records.ts";

/** What is the same in all journals. */
export interface FoundJournal {
  readonly path: string;
  /** The process that writes it; undefined once that has closed it. */
  readonly owner: JournalOwner | undefined;
  /** Bytes of all lines that are whole. */
  readonly bytes: number;
}

/** What the journal of a conversion says. */
export interface JournalState extends FoundJournal {
  /** Of the conversion; undefined where another program has written it. */
  readonly identity: ConversionIdentity | undefined;
  /** In the order in which they were finished. */
  readonly tensors: readonly TensorRecord[];
  /** Notes of factors that were chosen; what they hold is not checked. */
  readonly factors: readonly object[];
  /** Outputs whose files may have their final names. */
  readonly finishing: ReadonlySet<number>;
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
  const lines = await readLines(path, parseRecord);
  if (lines === undefined) return undefined;
  const { first, records, owner, bytes } = lines;
  return {
    path,
    owner,
    bytes,
    identity: parseHeader(first)?.identity,
    tensors: records.filter((record) => "tensor" in record),
    factors: records.filter((record) => "factors" in record),
    finishing: new Set(records.flatMap((record) => ("finishing" in record ? [record.finishing] : []))),
  };
}

/** Lines of a journal, whatever they note. */
export interface JournalLines<Entry> extends FoundJournal {
  readonly first: string;
  /** Of all lines behind the first. */
  readonly records: readonly Entry[];
}

/**
 * Reads the lines of a journal as far as they are whole.
 *
 * @param parse Reads a line behind the first; undefined ends the journal before it.
 * @returns undefined where there is no journal, or not even its first line
 * @throws QuernError `OUTPUT_NOT_WRITABLE`, `OUTPUT_WRITE_FAILED` when it cannot be read
 */
export async function readLines<Entry>(
  path: string,
  parse: (line: string) => Entry | undefined,
): Promise<JournalLines<Entry> | undefined> {
  if ((await stat(path).catch(() => undefined))?.isFile() !== true) return undefined;
  const records: Entry[] = [];
  let first: string | undefined;
  let owner: JournalOwner | undefined;
  let bytes = 0;
  await reportingAs(path, async () => {
    for await (const line of wholeLines(path)) {
      if (first === undefined) first = line;
      else {
        const record = parse(line);
        if (record === undefined) break;
        records.push(record);
        owner = ownerAfter(record, owner);
      }
      bytes += Buffer.byteLength(line) + 1;
    }
  });
  return first === undefined ? undefined : { path, first, records, owner, bytes };
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
