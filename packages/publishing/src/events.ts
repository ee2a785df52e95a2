import type { ConversionEvent } from "@quern/pipeline";
import type { CheckpointEvent } from "@quern/pipeline/layers";
import type { MeasuredFigures } from "./card/measured.ts";

/** News of what makes items. */
export type MakeEvent = ConversionEvent | CheckpointEvent;

export interface PublicationStartEvent {
  readonly type: "publish:start";
  readonly repository: string;
  /** Whether the repository was created. */
  readonly created: boolean;
  /** Items that the repository holds already, those that are only uploaded, and those that are made first. */
  readonly published: readonly string[];
  readonly made: readonly string[];
  readonly planned: readonly string[];
}

export interface MakingEvent {
  readonly type: "item:make";
  readonly items: readonly string[];
}

export interface EvaluatingEvent {
  readonly type: "item:evaluate";
  readonly item: string;
}

export interface EvaluatedEvent {
  readonly type: "item:evaluated";
  readonly item: string;
  readonly figures: MeasuredFigures;
}

export interface UploadingEvent {
  readonly type: "item:upload";
  readonly item: string;
  readonly files: readonly string[];
  readonly bytes: number;
}

/** The repository holds the files, by size and hash. */
export interface PublishedEvent {
  readonly type: "item:published";
  readonly item: string;
  readonly files: readonly string[];
  readonly bytes: number;
  readonly commit: string;
}

export interface DeletedEvent {
  readonly type: "item:deleted";
  readonly item: string;
  readonly files: readonly string[];
}

export interface PullRequestEvent {
  readonly type: "pull-request";
  readonly url: string;
}

/** The Hub has opened another pull request of the same publication, after a request whose answer was lost. */
export interface DuplicateEvent {
  readonly type: "pull-request:duplicate";
  readonly url: string;
}

/** Bytes that are made and bytes that went out, all items together. */
export interface PublicationProgressEvent {
  readonly type: "progress";
  /** "converting blk.0.attn_q.weight", "uploading model-Q4_K_M.gguf" */
  readonly place: string;
  readonly done: number;
  readonly total: number;
}

export type PublicationEvent =
  | PublicationStartEvent
  | MakingEvent
  | EvaluatingEvent
  | EvaluatedEvent
  | UploadingEvent
  | PublishedEvent
  | DeletedEvent
  | PullRequestEvent
  | DuplicateEvent
  | PublicationProgressEvent;

export interface PublishedItemReport {
  readonly item: string;
  readonly files: readonly { readonly path: string; readonly bytes: number; readonly sha256: string }[];
}

export interface PublicationReport {
  /** "org/name-GGUF" */
  readonly repository: string;
  readonly url: string;
  readonly branch: string;
  readonly pullRequest?: string;
  /** Further pull requests that the Hub has opened, to which nothing goes: they are to be closed. */
  readonly duplicates?: readonly string[];
  /** The branch when everything was there. */
  readonly commit: string;
  readonly items: readonly PublishedItemReport[];
  /** Bytes of all items. */
  readonly bytes: number;
  readonly seconds: number;
}
