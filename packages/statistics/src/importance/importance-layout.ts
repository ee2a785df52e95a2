/** A file that is known but for its sums: how large it is, and what stands where. */
export interface ImportanceLayout {
  readonly fileSize: number;
  /** Tensors that are in it. */
  readonly entries: number;
  /** The beginning of the file. */
  readonly header: Uint8Array;
  /** The other parts of the file, made one at a time; zeros lie between them. */
  parts(): AsyncGenerator<{ readonly offset: number; readonly bytes: Uint8Array }, void, undefined>;
}
