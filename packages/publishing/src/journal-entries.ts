import { basename } from "node:path";
import { isCount, isRecord, type JournalKind, type JsonRecord } from "@quern/tensor/node";
import type { MeasuredFigures, Measurement } from "./card/measured.ts";
import type { MadeRecord } from "./plan.ts";

/** A file that was hashed, by its path in the repository. */
export interface HashedFile {
  readonly path: string;
  readonly bytes: number;
  /** Of the content. Lower-case hexadecimal digits, as the other. */
  readonly sha256: string;
  /** Of the git object; absent of large files, which the Hub does not know by it. */
  readonly gitHash?: string;
}

/** What an evaluation has found out about an item. */
export interface EvaluatedRecord {
  /** Digest of what decided about the figures beside the files. */
  readonly identity: string;
  readonly figures: MeasuredFigures;
  readonly measurement: Measurement;
}

/** Where further commits go. */
export interface OpenedPullRequest {
  readonly url: string;
  readonly branch: string;
}

/** What is noted of an item that has begun. */
type ItemEntry = { readonly item: string } & (
  | { readonly kind: "made"; readonly made: MadeRecord }
  | { readonly kind: "evaluated"; readonly evaluated: EvaluatedRecord }
  | { readonly kind: "hashed"; readonly files: readonly HashedFile[] }
  | { readonly kind: "committed"; readonly commit: string }
);

export type PublicationEntry =
  | ItemEntry
  /** The names of the item were free, or were those of an earlier publication: what bears them from now on is this item, complete. */
  | { readonly kind: "begun"; readonly item: string; readonly identity: string; readonly targets: string[] }
  /** Names that an earlier publication gave, which was given up. */
  | { readonly kind: "given-up"; readonly targets: readonly string[] }
  /** A request to open a pull request may have been sent: its title has this mark. */
  | { readonly kind: "opening"; readonly mark: string }
  | ({ readonly kind: "pull-request" } & OpenedPullRequest);

/**
 * Beside the files of a publication, and unlike others for good: it says what the repository holds, and which names are ours. What is noted
 * cannot be found out again from files, so that each line is on disk before the work goes on, and a line that is not understood is refused
 * instead of done again.
 */
export const PUBLICATION_JOURNAL: JournalKind<{ readonly repository: string }, PublicationEntry> = {
  format: "quern-publication-journal",
  version: 1,
  identityOf: ({ repository }) => (isText(repository) ? { repository } : undefined),
  entryOf(value) {
    const { kind } = value;
    const isOurs = isText(kind) && Object.hasOwn(SHAPES, kind) && SHAPES[kind as keyof typeof SHAPES](value);
    return isOurs ? (value as unknown as PublicationEntry) : undefined;
  },
};

/** What entries must have, so that nothing that is written there can lead out of the folder. */
const SHAPES: Readonly<Record<PublicationEntry["kind"], (entry: JsonRecord) => boolean>> = {
  begun: ({ item, identity, targets }) => isText(item) && isText(identity) && areNames(targets),
  "given-up": ({ targets }) => areNames(targets),
  made: ({ item, made }) => isText(item) && isRecord(made) && isRecord(made["figures"]),
  evaluated: ({ item, evaluated: found }) =>
    isText(item) &&
    isRecord(found) &&
    isText(found["identity"]) &&
    isRecord(found["figures"]) &&
    isRecord(found["measurement"]),
  hashed: ({ item, files }) => isText(item) && Array.isArray(files) && files.every(isHashedFile),
  committed: ({ item, commit }) => isText(item) && isText(commit),
  opening: ({ mark }) => isText(mark),
  "pull-request": ({ url, branch }) => isText(url) && isText(branch),
};

function isText(value: unknown): value is string {
  return typeof value === "string";
}

/** Of files or folders, without a path. */
function areNames(value: unknown): boolean {
  return Array.isArray(value) && value.every((name) => isText(name) && basename(name) === name);
}

function isHashedFile(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const { path, bytes, sha256, gitHash } = value;
  return (
    isText(path) &&
    path.split(/[/\\]/).every((part) => part !== "" && part !== "." && part !== "..") &&
    isCount(bytes) &&
    isText(sha256) &&
    (gitHash === undefined || isText(gitHash))
  );
}
