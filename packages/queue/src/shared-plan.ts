import type { PartConverter } from "@quern/pipeline";
import type { z } from "zod";
import type { SharedIdentity } from "./compare-identity.ts";

/** A file that machines write together. */
export interface SharedFile {
  /** Where it will be when it is complete. */
  readonly path: string;
  /** Where it is now. */
  readonly partial: string;
  readonly size: number;
  /** Its beginning, which the coordinator has written. */
  readonly header: Uint8Array;
}

/** What a part of a plan is. */
export interface PartDescription {
  /** Of its first tensor, for messages. */
  readonly name: string;
  /** Names of all its tensors. */
  readonly tensors: readonly string[];
  /** How many weights it is made of: the measure of work. */
  readonly weights: number;
  /** Positions of the files that it is written into. */
  readonly files: readonly number[];
  /** Neighbours with the same number have inputs in common: what is made of these is made once where they are done together. */
  readonly together?: number;
}

/**
 * A plan as the machines of a queue see it, whatever it writes: parts that do not depend on each other, and the files that they go into.
 *
 * `Part` and `Outcome` are plain data, which other machines send.
 */
export interface SharedPlan<Part = unknown, Outcome = unknown> {
  /** Name of the model. */
  readonly model: string;
  /** What must be the same on all machines. */
  readonly identity: SharedIdentity;
  /** Of all outputs. */
  readonly files: readonly SharedFile[];
  /** How many tensors there are, for messages. */
  readonly tensors: number;
  readonly partSchema: z.ZodType<Part>;
  readonly outcomeSchema: z.ZodType<Outcome>;
  /** @returns undefined of what the plan does not have */
  describe(part: Part): PartDescription | undefined;
  /** Whether an outcome is that of a part: all that was wanted, and nothing else. */
  answers(part: Part, outcome: Outcome): boolean;
  /**
   * Whether the bytes that an outcome tells of are in the files, as this machine sees them: these are opened anew, which is when file systems
   * of networks look for what other machines have written.
   */
  isWritten(outcome: Outcome): Promise<boolean>;
  /** Starts the threads that do parts, with the resources of this machine. */
  open(): Promise<PartConverter<Part, Outcome>>;
  /** Closes what it was planned from, where something is to be closed. */
  close?(): Promise<void>;
}
