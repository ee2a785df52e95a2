import type { HubFileLocation } from "@quern/hub";
import type { TensorInfo } from "@quern/tensor";

/** Small files of a checkpoint: config, tokenizer, model card. Paths are relative, with forward slashes. */
export interface CheckpointFileSet {
  /** Folder or repository name. */
  readonly name: string;
  /** Whether there is a file of this name. */
  has(path: string): boolean;
  /** Bytes of a file, without reading it; undefined when it does not exist. */
  size(path: string): number | undefined;
  /**
   * @returns undefined when the file does not exist
   * @throws QuernError `CHECKPOINT_PATH` for a path that leaves the checkpoint, `CHECKPOINT_FILE_TOO_LARGE`,
   * `SOURCE_READ_FAILED`
   */
  read(path: string): Promise<Uint8Array | undefined>;
  /** Names of the files in a folder, in any order; empty when there is no such folder. "" is the checkpoint itself. */
  list(folder: string): readonly string[];
  /** What a repository of the Hub lists of a file; absent for folders. */
  listed?(path: string): HubFileLocation | undefined;
}

/** A tensor and where its bytes are. */
export interface CheckpointTensor extends TensorInfo {
  /** Name of the shard, as in {@link Checkpoint.shards}. */
  readonly shard: string;
  /** Absolute byte offset of the data in the shard. */
  readonly offset: number;
  /** Bytes of data. */
  readonly size: number;
}

/** A file on this machine. */
export interface LocalFileLocation {
  readonly kind: "file";
  /** Absolute path, links followed. */
  readonly path: string;
}

/** Where a shard is: plain data without secrets, what another thread opens. */
export type ShardLocation = LocalFileLocation | HubFileLocation;

/** A file of tensors. */
export interface CheckpointShard {
  /** File name, relative to the checkpoint. */
  readonly name: string;
  readonly location: ShardLocation;
  readonly size: number;
  /** Path of a complete copy on this machine, where one was there of a file that is elsewhere. */
  readonly copy?: string;
}

/** A Hugging Face repository whose tensor headers have been read, and no weights. No file is held open. */
export interface Checkpoint {
  /** Folder or repository name. */
  readonly name: string;
  /** Absolute path of the folder, or web address of the repository at its commit. */
  readonly location: string;
  /** Absolute path of the folder, where it is one: what must not be written over. */
  readonly folder?: string;
  /** Whether it may have more files than are known here: a cache without a listing is all there is. */
  readonly partial?: true;
  readonly files: CheckpointFileSet;
  /** Sorted by name. */
  readonly shards: readonly CheckpointShard[];
  /** By name, in the order of the sorted shards, sorted by name within each. */
  readonly tensors: ReadonlyMap<string, CheckpointTensor>;
  /** Bytes of all tensors. */
  readonly totalBytes: number;
  /**
   * Bytes of a small tensor, such as describes a quantized layer.
   *
   * @throws QuernError `TENSOR_MISSING`, `CHECKPOINT_TENSOR_TOO_LARGE`, `SOURCE_*`
   */
  readTensor(name: string): Promise<Uint8Array>;
}
