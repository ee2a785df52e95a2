import type { HubAccess, HubPatience } from "@quern/hub";
import type { QuernError } from "@quern/tensor";
import type { MeasuredFigures } from "./card/measured.ts";
import type { Card } from "./card/merge-card.ts";
import type { ItemEvaluation } from "./evaluation.ts";
import type { MakeEvent } from "./events.ts";
import type { PublicationJournal } from "./journal.ts";
import type { HashedFile } from "./journal-entries.ts";

/** A file on this machine, and what it is called in the repository. */
export interface LocalFile {
  /** In the repository, with forward slashes. */
  readonly path: string;
  /** Absolute path. */
  readonly local: string;
  readonly bytes: number;
}

/** A file whose hashes are known. */
export interface HashedLocalFile extends LocalFile, HashedFile {}

/** What is known of an item once it is made: figures for its card, and what belongs beside its files is made of. Plain data. */
export interface MadeRecord {
  readonly figures: MeasuredFigures;
  readonly details?: unknown;
}

/** What becomes one commit: the files of a type, or a quantized checkpoint. */
export interface PublicationItem {
  /** "Q4_K_M" */
  readonly name: string;
  /** Digest of everything that decides about its bytes. */
  readonly identity: string;
  /** Absolute paths that making it gives a name, once they are complete: files, or a folder. */
  readonly targets: readonly string[];
  /** As planned. */
  readonly bytes: number;
  /** Its files, where all of them are there as they were planned. */
  findFiles(): Promise<readonly LocalFile[] | undefined>;
  /** Whether making it anew goes on with what an ended run has left until it was noted that it is made: its files alone are not enough then. */
  readonly goesOnUntilNoted: boolean;
  /**
   * Writes what belongs beside its files, which are all there.
   *
   * @param params.made Absent where the run that made it was ended before that was taken down.
   * @returns everything that is uploaded
   */
  finish(params: {
    readonly files: readonly LocalFile[];
    readonly made: MadeRecord | undefined;
    readonly signal: AbortSignal;
  }): Promise<readonly HashedLocalFile[]>;
}

/** How far an item was when the plan was made. */
export type ItemState =
  /** The repository holds it. */
  | "published"
  /** Its files are there, and are to be uploaded. */
  | "made"
  /** It is to be made. */
  | "planned";

export interface PlannedItem {
  readonly item: PublicationItem;
  readonly state: ItemState;
}

/** Items that are made in one go. */
export interface PublicationGroup {
  readonly items: readonly PublicationItem[];
  /** Bytes of weights that are read. */
  readonly sourceBytes: number;
  /** Those of them that are still to come over the network. */
  readonly networkBytes: number;
  /** Estimated peak of the process's resident memory in bytes. */
  readonly peakMemory: number;
  /**
   * Makes the files.
   *
   * @param options.note Takes down what is known of each item, all of whose files are there.
   */
  make(options: {
    readonly signal: AbortSignal | undefined;
    readonly onEvent: (event: MakeEvent) => void;
    readonly note: (made: readonly MadeRecord[]) => Promise<void>;
  }): Promise<void>;
}

/** What a card is made of, beside what the plan knows. */
export interface CardState {
  /** Names of the items that the repository holds, or will with this commit. */
  readonly items: ReadonlySet<string>;
  /** Text of the repository's README.md. */
  readonly existing: string | undefined;
  /** Paths of all files of the repository. */
  readonly files: ReadonlySet<string>;
}

/** Where everything goes. */
export interface PublicationTarget {
  readonly access: HubAccess;
  /** "org/name-GGUF" */
  readonly id: string;
  /** Whether the repository is there already. */
  readonly exists: boolean;
  readonly isPrivate: boolean;
  /** Whether all goes to a pull request instead of the main branch. */
  readonly opensPullRequest: boolean;
  readonly patience?: HubPatience;
}

/** Everything about a publication that is known before anything is made or uploaded. */
export interface PublicationPlan {
  readonly target: PublicationTarget;
  readonly items: readonly PlannedItem[];
  /** What is to be made, in order. */
  readonly groups: readonly PublicationGroup[];
  /** Folder of the files. */
  readonly directory: string;
  /** Whether files of an item are removed once the repository holds them. */
  readonly deletesLocal: boolean;
  /** What measures items before they are uploaded. */
  readonly evaluation?: ItemEvaluation;
  /** Estimated peak of the process's resident memory in bytes. */
  readonly peakMemory: number;
  /** The card; undefined where nothing is known that one could be made of. */
  makeCard(state: CardState): Promise<Card | undefined>;
  readonly journal: PublicationJournal;
  readonly warnings: readonly QuernError[];
}
