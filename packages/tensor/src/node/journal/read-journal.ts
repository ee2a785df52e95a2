import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { QuernError } from "../../error.ts";
import { partialPathOf, reportingAs } from "../output-file.ts";
import { isRecord, type JournalKind, type JsonRecord } from "./kind.ts";
import { isOwner, isWriting, type JournalOwner } from "./owner.ts";

/** What a journal says. */
export interface FoundJournal<Identity extends object = object, Entry extends object = object> {
  readonly path: string;
  /** Of the run; undefined where another program or version has written it. */
  readonly identity: Identity | undefined;
  /** In the order in which they were noted. */
  readonly entries: readonly Entry[];
  /** Number of the first whole line that is none of this kind, from 1: what it and those behind it note is not known. */
  readonly strangeLine?: number;
  /** The process that writes it; undefined once that has closed it. */
  readonly owner: JournalOwner | undefined;
  /** Bytes of all lines that are whole, and of this kind. */
  readonly bytes: number;
}

/** The file beside unfinished work that says what of it is complete. @param path Final path, of the first file where there are several. */
export function journalPathOf(path: string): string {
  return `${partialPathOf(path)}.journal`;
}

/**
 * Reads a journal as far as its lines are whole: the last one may have been torn by a crash.
 *
 * @returns undefined where there is none, or not even its first line
 * @throws QuernError `OUTPUT_NOT_WRITABLE`, `OUTPUT_WRITE_FAILED` when it cannot be read
 */
export async function readJournal<Identity extends object, Entry extends object>(
  path: string,
  kind: JournalKind<Identity, Entry>,
): Promise<FoundJournal<Identity, Entry> | undefined> {
  if ((await stat(path).catch(() => undefined))?.isFile() !== true) return undefined;
  const entries: Entry[] = [];
  let identity: Identity | undefined;
  let owner: JournalOwner | undefined;
  let lines = 0;
  let bytes = 0;
  let strangeLine: number | undefined;
  await reportingAs(path, async () => {
    for await (const line of wholeLines(path)) {
      const value = parseRecord(line);
      if (lines === 0) identity = value && identityIn(value, kind);
      else if (isOwner(value?.["owner"])) owner = value["owner"];
      else if (value?.["closed"] === true) owner = undefined;
      else {
        const entry = value && kind.entryOf(value);
        if (entry === undefined) {
          strangeLine = lines + 1;
          break;
        }
        entries.push(entry);
      }
      lines++;
      bytes += line.byteLength + 1;
    }
  });
  if (lines === 0) return undefined;
  return { path, identity, entries, owner, bytes, ...(strangeLine === undefined ? {} : { strangeLine }) };
}

/**
 * Checks that nobody else is writing what a journal is about.
 *
 * @throws QuernError `OUTPUT_IN_USE`
 */
export async function checkUnused({ path, owner }: Pick<FoundJournal, "path" | "owner">): Promise<void> {
  if (owner === undefined || !(await isWriting(owner, path))) return;
  throw inUse(path, `the process ${owner.pid} is writing this`);
}

export function inUse(path: string, problem: string): QuernError {
  return new QuernError("OUTPUT_IN_USE", `${path}: ${problem}`, { subject: { file: path } });
}

function identityIn<Identity extends object>(
  { format, version, identity }: JsonRecord,
  kind: JournalKind<Identity, object>,
): Identity | undefined {
  if (format !== kind.format || version !== kind.version || !isRecord(identity)) return undefined;
  return kind.identityOf(identity);
}

function parseRecord(line: Buffer): JsonRecord | undefined {
  try {
    const value: unknown = JSON.parse(line.toString("utf8"));
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Far more than a line has: an identity, or what became of a tensor in many outputs. */
const LONGEST_LINE = 2 ** 26;

/** Without the bytes that end them; what is longer than any line ends them all. */
async function* wholeLines(path: string): AsyncGenerator<Buffer, void, undefined> {
  let rest: Buffer[] = [];
  let length = 0;
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(NEWLINE, start);
      if (end < 0) break;
      yield Buffer.concat([...rest, chunk.subarray(start, end)]);
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
