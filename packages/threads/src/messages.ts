import { type ErrorSubject, QuernError } from "@quern/tensor";

/** What a thread is started with. */
export interface ThreadOptions {
  /** URL of the module that exports `createService`. */
  readonly module: string;
  /** What `createService` gets. */
  readonly options: unknown;
}

/** To a thread. */
export interface ThreadRequest {
  readonly id: number;
  readonly task: unknown;
  readonly lane: number;
}

/** From a thread: `ready` or `failed` once, then an answer to each request. */
export type ThreadMessage =
  | { readonly type: "ready"; readonly description: string }
  | { readonly type: "failed"; readonly error: PlainError }
  | { readonly type: "done"; readonly id: number; readonly result: unknown }
  | { readonly type: "error"; readonly id: number; readonly error: PlainError };

/** An error as plain data: structured cloning keeps no code and no subject. */
interface PlainError {
  readonly code: string;
  readonly message: string;
  readonly subject: ErrorSubject;
  /** Cloneable, because it was made from the text of the original. */
  readonly cause?: Error;
}

export function toPlainError(error: unknown): PlainError {
  if (error instanceof QuernError) {
    const { code, message, subject, cause } = error;
    return { code, message, subject, ...(cause instanceof Error ? { cause: new Error(cause.message) } : {}) };
  }
  const cause = error instanceof Error ? error : new Error(String(error));
  const text = `A worker failed: ${cause.message}`;
  return {
    code: "WORKER_FAILED",
    message: text,
    subject: {},
    cause: new Error(cause.stack ?? cause.message),
  };
}

export function fromPlainError({ code, message, subject, cause }: PlainError): QuernError {
  return new QuernError(code, message, { subject, ...(cause === undefined ? {} : { cause }) });
}
