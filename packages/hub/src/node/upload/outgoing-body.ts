import { QuernError } from "@quern/tensor";

/** What is sent: a text, or bytes that are read as they go out, each time anew. */
export type Body = string | Blob;

export interface OutgoingRequest {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Body | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds without a byte moving after which the connection is given up. */
  readonly stallTimeout: number;
  /** Called with the bytes that have been handed to the connection since the last call. */
  readonly onSent?: ((bytes: number) => void) | undefined;
}

/** Bytes of a body. */
export function bodySize(body: Body | undefined): number {
  if (body === undefined) return 0;
  return typeof body === "string" ? Buffer.byteLength(body) : body.size;
}

/**
 * A body piece by piece.
 *
 * @throws QuernError `UPLOAD_FILE_UNREADABLE` when it cannot be read, or is not as long as it was
 */
export async function* bodyPieces({
  body,
  onSent,
}: Pick<OutgoingRequest, "body" | "onSent">): AsyncGenerator<Uint8Array> {
  const size = bodySize(body);
  if (body === undefined) return;
  if (typeof body === "string") {
    yield Buffer.from(body);
    return;
  }
  let sent = 0;
  try {
    for await (const chunk of body.stream()) {
      sent += chunk.byteLength;
      yield chunk;
      onSent?.(chunk.byteLength);
    }
  } catch (cause) {
    throw new QuernError("UPLOAD_FILE_UNREADABLE", `The file cannot be read: ${(cause as Error).message}`, {
      cause,
    });
  }
  if (sent !== size) {
    throw new QuernError(
      "UPLOAD_FILE_UNREADABLE",
      `The file has changed while it was uploaded: ${sent} bytes instead of ${size}`,
    );
  }
}
