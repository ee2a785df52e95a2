import type { QuernError } from "@quern/tensor";

/** What a difference is about. */
export type FindingKind =
  /** A file that is missing, or has another size. */
  | "file"
  /** What lies in front of the tensors. */
  | "header"
  | "tensor"
  /** Bytes between and behind tensors, which are 0. */
  | "padding"
  /** All of a file that has no tensors. */
  | "content"
  /** A file that is not what its format says, or not what the manifest says of its tensors. */
  | "structure"
  /** The source is not the one that the manifest names. */
  | "source";

/** A difference between what is and what should be. */
export interface Finding {
  readonly kind: FindingKind;
  /** As the manifest calls it. */
  readonly file: string;
  readonly tensor?: string;
  /** First byte that differs, in the file, or where what differs begins. */
  readonly offset?: number;
  /** For people: what was found, and what was expected. */
  readonly message: string;
}

/** What an error says is wrong with a file, without the name of the file: findings have that themselves. */
export function problemOf({ message }: QuernError, file: string): string {
  return message.startsWith(`${file}: `) ? message.slice(file.length + 2) : message;
}
