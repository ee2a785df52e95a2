import {
  type FoundJournal,
  isCount,
  isRecord,
  type JournalKind,
  type JsonRecord,
  readJournal,
} from "@quern/tensor/node";
import type { TensorError } from "../errors.ts";
import { type ConversionIdentity, IDENTITY_PARTS } from "./identity.ts";

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
  readonly factors: object;
}

/** All tensors of an output are complete and on disk; from now on its files get their final names. */
interface FinishingRecord {
  readonly finishing: number;
}

export type ConversionEntry = TensorRecord | FactorsRecord | FinishingRecord;

/** Beside partial files of a conversion. What is noted of bytes is hashed again by whoever goes on: nothing waits for the disk. */
export const CONVERSION_JOURNAL: JournalKind<ConversionIdentity, ConversionEntry> = {
  format: "quern-conversion-journal",
  version: 1,
  identityOf(value) {
    const { digests } = value;
    const isOurs = isRecord(digests) && IDENTITY_PARTS.every((part) => typeof digests[part] === "string");
    return isOurs ? (value as unknown as ConversionIdentity) : undefined;
  },
  entryOf(value) {
    const { tensor, factors, finishing } = value;
    const isOurs =
      (typeof tensor === "string" && isTensorRecord(value)) || isRecord(factors) || isCount(finishing);
    return isOurs ? (value as unknown as ConversionEntry) : undefined;
  },
};

/** What the journal of a conversion says. */
export interface ConversionState extends FoundJournal<ConversionIdentity, ConversionEntry> {
  /** In the order in which they were finished. */
  readonly tensors: readonly TensorRecord[];
  /** Notes of factors that were chosen; what they hold is not checked. */
  readonly factors: readonly FactorsRecord[];
  /** Outputs whose files may have their final names. */
  readonly finishing: ReadonlySet<number>;
}

/** @throws QuernError the codes of `readJournal` */
export async function readConversionJournal(path: string): Promise<ConversionState | undefined> {
  const found = await readJournal(path, CONVERSION_JOURNAL);
  if (found === undefined) return undefined;
  const { entries } = found;
  return {
    ...found,
    tensors: entries.filter((entry) => "tensor" in entry),
    factors: entries.filter((entry) => "factors" in entry),
    finishing: new Set(entries.flatMap((entry) => ("finishing" in entry ? [entry.finishing] : []))),
  };
}

function isTensorRecord({ outputs, crc32, errors = [] }: JsonRecord): boolean {
  return (
    Array.isArray(outputs) &&
    outputs.length > 0 &&
    outputs.every(isCount) &&
    typeof crc32 === "string" &&
    Array.isArray(errors) &&
    errors.every((error) => isRecord(error) && isCount(error["output"]))
  );
}
