export { planCheckpointPublication } from "./checkpoint/plan-checkpoint-publication.ts";
export type { PlanCheckpointPublicationParams } from "./checkpoint/plan-checkpoint-publication.ts";
export type { CardFacts, PlanGgufPublicationParams } from "./gguf/plan-gguf-publication.ts";
export { planGgufPublication } from "./gguf/plan-gguf-publication.ts";
export type { MeasuredFigures } from "./card/measured.ts";
export type { EvaluationEstimate, ItemEvaluation, PlanItemEvaluation } from "./evaluation.ts";
export type {
  DeletedEvent,
  DuplicateEvent,
  EvaluatedEvent,
  EvaluatingEvent,
  MakingEvent,
  PublicationEvent,
  PublicationProgressEvent,
  PublicationReport,
  PublicationStartEvent,
  PublishedEvent,
  PublishedItemReport,
  PullRequestEvent,
  UploadingEvent,
} from "./events.ts";
export { PublicationJournal } from "./journal.ts";
export type { ItemRecord } from "./journal.ts";
export type { EvaluatedRecord, HashedFile, OpenedPullRequest } from "./journal-entries.ts";
export type {
  ItemState,
  LocalFile,
  PlannedItem,
  PublicationGroup,
  PublicationItem,
  PublicationPlan,
  PublicationTarget,
} from "./plan.ts";
export { publicationBytes } from "./running/progress-sum.ts";
export { publish } from "./running/publish.ts";
export type { PublishOptions } from "./running/publish.ts";
