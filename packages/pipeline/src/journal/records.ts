import type { TensorError } from "../errors.ts";
import { type ConversionIdentity, IDENTITY_PARTS } from "./identity.ts";
import type { JournalOwner } from "./owner.ts";

/** First line of a journal. */
export interface JournalHeader {
  readonly format: typeof JOURNAL_FORMAT;
  readonly version: typeof JOURNAL_VERSION;
  readonly identity: ConversionIdentity;
}

/** A process has begun to write, or to go on. */
interface OwnerRecord {
  readonly owner: JournalOwner;
}

/** A tensor is complete in files of outputs. */
export interface TensorRecord {
  /** Its name in the model. */
  readonly tensor: string;
  /** Positions of outputs that have the same bytes of it. */
  readonly outputs: readonly number[];
  /** CRC-32 of these bytes: eight hexadecimal digits in lower case. */
  readonly crc32: string;
  /** What became of it in these outputs, where that was measured. */
  readonly errors?: readonly TensorError[];
}

/** Factors that are folded into weights are chosen for good. */
interface FactorsRecord {
  readonly factors: Readonly<Record<string, unknown>>;
}

/** All tensors of an output are complete and on disk; from now on its files get their final names. */
interface FinishingRecord {
  readonly finishing: number;
}

/** The process has stopped to write, and left everything as it is. */
interface ClosedRecord {
  readonly closed: true;
}

/** A line of a journal behind the first. */
export type JournalRecord = OwnerRecord | TensorRecord | FactorsRecord | FinishingRecord | ClosedRecord;

export const JOURNAL_FORMAT = "quern-conversion-journal";
export const JOURNAL_VERSION = 1;

/** @returns undefined for anything that is not the first line of such a journal */
export function parseHeader(line: string): JournalHeader | undefined {
  const value = parseObject(line);
  if (value?.["format"] !== JOURNAL_FORMAT || value["version"] !== JOURNAL_VERSION) return undefined;
  const identity = value["identity"];
  const digests = isObject(identity) ? identity["digests"] : undefined;
  if (!isObject(digests) || !IDENTITY_PARTS.every((part) => typeof digests[part] === "string"))
    return undefined;
  return value as unknown as JournalHeader;
}

/** @returns undefined for anything else */
export function parseRecord(line: string): JournalRecord | undefined {
  const value = parseObject(line);
  if (value === undefined) return undefined;
  const { owner, tensor, factors, finishing, closed } = value;
  const isRecord =
    isOwner(owner) ||
    (typeof tensor === "string" && isTensorRecord(value)) ||
    isObject(factors) ||
    isIndex(finishing) ||
    closed === true;
  return isRecord ? (value as unknown as JournalRecord) : undefined;
}

/** Who writes a journal behind a line of it, given who did before. */
export function ownerAfter(record: unknown, owner: JournalOwner | undefined): JournalOwner | undefined {
  if (!isObject(record)) return owner;
  if (isOwner(record["owner"])) return record["owner"];
  return record["closed"] === true ? undefined : owner;
}

function isOwner(value: unknown): value is JournalOwner {
  if (!isObject(value)) return false;
  const { host, pid, started } = value;
  return typeof host === "string" && isIndex(pid) && (started === undefined || typeof started === "string");
}

function isTensorRecord({ outputs, crc32, errors = [] }: Record<string, unknown>): boolean {
  return (
    Array.isArray(outputs) &&
    outputs.length > 0 &&
    outputs.every(isIndex) &&
    typeof crc32 === "string" &&
    Array.isArray(errors) &&
    errors.every((error) => isObject(error) && isIndex(error["output"]))
  );
}

function isIndex(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function parseObject(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
