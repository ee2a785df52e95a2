/** What the journals of a kind say. */
export interface JournalKind<Identity extends object, Entry extends object> {
  /** Of the first line, which has a version and an identity besides: "quern-conversion-journal". */
  readonly format: string;
  readonly version: number;
  /** What the first line says that the run is told from others by. @returns undefined for anything else */
  identityOf(value: JsonRecord): Identity | undefined;
  /** What a line behind it notes. @returns undefined for anything else */
  entryOf(value: JsonRecord): Entry | undefined;
}

/** A JSON object of which nothing is known. */
export type JsonRecord = Readonly<Record<string, unknown>>;

/** What tells a run from others where no more has to be known of it: texts, by what people call what they are about. */
export type RunParts = Readonly<Record<string, string>>;

/** @returns undefined where one of them is no text */
export function runPartsOf(value: JsonRecord): RunParts | undefined {
  const parts = Object.entries(value).filter(
    (entry): entry is [string, string] => typeof entry[1] === "string",
  );
  return parts.length === Object.keys(value).length ? Object.fromEntries(parts) : undefined;
}

/** What two runs differ in, in the order of ours. */
export function differingParts(ours: RunParts, theirs: RunParts): string[] {
  const parts = new Set([...Object.keys(ours), ...Object.keys(theirs)]);
  return [...parts].filter((part) => ours[part] !== theirs[part]);
}

/** Whether a value is an object that is no array: what JSON calls one. */
export function isRecord(value: unknown): value is JsonRecord {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether a value is one that counts something, or a position. */
export function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
