import { QuernError } from "@quern/tensor";
import { z } from "zod";

/** An error as another machine is told it. */
export interface PlainError {
  readonly code: string;
  readonly message: string;
  readonly subject: {
    readonly file?: string | undefined;
    readonly tensor?: string | undefined;
    readonly key?: string | undefined;
    readonly offset?: number | undefined;
  };
}

const plainError: z.ZodType<PlainError> = z.object({
  code: z.string(),
  message: z.string(),
  subject: z.object({
    file: z.string().optional(),
    tensor: z.string().optional(),
    key: z.string().optional(),
    offset: z.number().optional(),
  }),
});

export function toPlainError(error: unknown): PlainError {
  if (error instanceof QuernError) {
    const { code, message, subject } = error;
    return { code, message, subject };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { code: "QUEUE_WORKER_FAILED", message: `A worker failed: ${message}`, subject: {} };
}

/** @returns undefined for a text that {@link toPlainError} has not made */
export function parsePlainError(text: string): PlainError | undefined {
  try {
    return plainError.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
