/** What an error is about; every field that is known is given, and repeated in the message. */
export interface ErrorSubject {
  /** File name or URL, as the user gave it. */
  file?: string;
  /** Tensor name. */
  tensor?: string;
  /** Metadata, configuration or header key. */
  key?: string;
  /** Byte offset in the file, or element index in the tensor (the message says which). */
  offset?: number;
}

/**
 * Base of every error that Quern throws on purpose.
 *
 * `code` is stable (`SAFETENSORS_TRUNCATED`, `MODEL_UNSUPPORTED`, ...): programs branch on it, people read the message.
 */
export class QuernError extends Error {
  readonly code: string;
  readonly subject: ErrorSubject;

  constructor(code: string, message: string, options: { subject?: ErrorSubject; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "QuernError";
    this.code = code;
    this.subject = options.subject ?? {};
  }
}
