import { z } from "zod";
import { type CheckpointRequest, checkpointRequest } from "./checkpoint-request.ts";
import { type ConversionRequest, conversionRequest } from "./conversion-request.ts";

/** What a run is asked for. */
export type RunRequest = ConversionRequest | CheckpointRequest;

export const runRequest: z.ZodType<RunRequest> = z.union([conversionRequest, checkpointRequest]);
