import type { CheckpointOrigin } from "@quern/manifest";
import { CHECKPOINT_ORIGIN } from "@quern/manifest/file";
import { z } from "zod";
import { type SharedModel, sharedModel } from "./shared-model.ts";
import { sharedPath, type SharedPath } from "./shared-path.ts";

/** What a quantized checkpoint is asked for, so that other machines can plan the same: plain data that refers to files. */
export interface CheckpointRequest {
  readonly container: "safetensors";
  readonly model: SharedModel;
  /** Recipe, and what files say of where they come from. */
  readonly origin: CheckpointOrigin;
  /** Where it will be when it is complete. */
  readonly folder: SharedPath;
  /** What is known of the inputs of layers, where the recipe needs that. */
  readonly statistics?: SharedPath | undefined;
  /** As the plan has it. */
  readonly baseModel?: string | undefined;
}

export const checkpointRequest: z.ZodType<CheckpointRequest> = z.strictObject({
  container: z.literal("safetensors"),
  model: sharedModel,
  origin: CHECKPOINT_ORIGIN,
  folder: sharedPath,
  statistics: sharedPath.optional(),
  baseModel: z.string().optional(),
});
