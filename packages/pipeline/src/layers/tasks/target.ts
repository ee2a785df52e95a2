/** A place in an output file. */
export interface Target {
  /** Index among the files of the output. */
  readonly file: number;
  /** Absolute byte offset. */
  readonly offset: number;
}

export type WriteBytes = (file: number, bytes: Uint8Array, offset: number) => Promise<void>;

/** Reads what has been written. */
export type ReadBytes = (file: number, offset: number, size: number) => Promise<Uint8Array>;
