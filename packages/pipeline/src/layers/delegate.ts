import type { Delegate, PartConverter } from "../delegate.ts";
import type { CheckpointPart } from "./parts.ts";
import type { CheckpointPlan } from "./plan.ts";
import type { FinishedEntry } from "./finished-entry.ts";
import type { FactorsEntry } from "./running/known-factors.ts";

/** What has become of a part of a checkpoint. Plain data. */
export interface CheckpointOutcome extends CheckpointPart {
  /** One for each layer, or one for what was copied. */
  readonly entries: readonly FinishedEntry[];
  /** Those that were chosen for a block: by the name of the place, F32 in base64. */
  readonly factors?: FactorsEntry["factors"];
}

/** Somebody else who does the work of a plan, whose inputs do not follow what layers become. */
export type CheckpointDelegate = Delegate<CheckpointPlan, CheckpointPart, CheckpointOutcome>;

/** Does single parts of a plan; throws as `writeCheckpoint`. */
export type CheckpointConverter = PartConverter<CheckpointPart, CheckpointOutcome>;
