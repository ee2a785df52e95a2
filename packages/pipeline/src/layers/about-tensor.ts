import { QuernError } from "@quern/tensor";

/** Algorithms and formats know nothing of tensors: what they refuse is said of one. */
export function about<T>(tensor: string, run: () => T): T {
  try {
    return run();
  } catch (cause) {
    if (!(cause instanceof QuernError)) throw cause;
    throw new QuernError(cause.code, `"${tensor}": ${cause.message}`, {
      subject: { ...cause.subject, tensor },
      cause,
    });
  }
}
