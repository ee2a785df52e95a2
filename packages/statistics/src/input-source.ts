import type { WeightChanges } from "@quern/models";

/** What is known of the inputs of a linear layer, or of one matrix of stacked layers. Arrays belong to whoever asked. */
export interface InputStatistics {
  /** How many inputs there were. */
  readonly tokens: number;
  /** By column: mean of x. */
  readonly mean: Float32Array;
  /** By column: mean of x^2. */
  readonly meanSquare: Float32Array;
  /** By column: mean of |x|. */
  readonly meanMagnitude: Float32Array;
  /** By column: largest |x|. */
  readonly largestMagnitude: Float32Array;
  /** X^T X, sums: columns x columns, in shared memory. Present when it was asked for. */
  readonly hessian?: Float64Array;
  /**
   * (X_f - X)^T X of the inputs X_f that the model had before anything was quantized, where a source follows what layers become and was
   * asked for it: columns x columns, in shared memory.
   */
  readonly cross?: Float64Array;
  /** Counts of |x| over all columns, in the bins of `addToHistogram`. Present when it was asked for and is known. */
  readonly histogram?: Float64Array;
  /** Inputs that calibration has not seen, row by row, in shared memory; absent where none were kept apart. */
  readonly heldOut?: Float32Array;
  /** All inputs of some windows, row by row in their order, in shared memory, and the rows that begin a sequence. Present when it was asked for. */
  readonly windows?: { readonly rows: Float32Array; readonly starts: readonly number[] };
}

export interface InputRequest {
  /** GGUF name of a layer without ".weight"; layers with the same input may be named alike. */
  readonly module: string;
  /** Number of the expert or head in a stack. @default 0 */
  readonly matrix?: number;
  readonly hessian: boolean;
  readonly cross: boolean;
  readonly heldOut: boolean;
  /** @default false */
  readonly histogram?: boolean;
  /** @default false */
  readonly windows?: boolean;
  /** Gives so many bytes of shared memory, with anything in them, to whoever will give it back. @default new memory */
  readonly allocate?: AllocateShared;
}

/** Gives shared memory. @param size Bytes. */
export type AllocateShared = (size: number) => SharedArrayBuffer;

/** New memory. */
export const newShared: AllocateShared = (size) => new SharedArrayBuffer(size);

/** Inputs that were kept apart, as they are. */
export interface KeptInputs {
  /** Whether `heldOut` is there for layers that saw tokens. */
  readonly heldOut: boolean;
  /** Rows of `windows`, which are there for inputs of attention; 0 for none. */
  readonly windowRows: number;
}

/**
 * Where algorithms get to know what layers read: a statistics file, or a model that is run while its layers are quantized one after
 * another. Whoever asks does so block by block, and within a block in the order of the computation.
 */
export interface InputSource {
  /** Whether inputs depend on what earlier layers have become: `replace` must be called for all that change. */
  readonly follows: boolean;
  /** What `read` has of inputs as they are, where inputs follow what layers become. */
  readonly kept?: KeptInputs;
  /**
   * Sources with the same identity give the same inputs. Work that was interrupted is gone on with only where that is known.
   *
   * @throws QuernError what reading throws
   */
  identity?(): Promise<string>;
  /**
   * Where inputs follow what layers become: goes on with what an earlier run has kept, and keeps it for a later one. Called before anything
   * is asked.
   *
   * @param params.run What decides what layers become, the source itself apart; sources with the same text go on with each other's work.
   * @param params.finished How many blocks, from the first on, have become what they will be.
   * @returns the first block to be gone through again: of what is finished in it and behind it, `replace` is to be called
   */
  begin?(params: { readonly run: string; readonly finished: number }): Promise<number>;
  /** @throws QuernError `STATISTICS_UNKNOWN_MODULE`, `STATISTICS_NOT_COLLECTED` */
  read(request: InputRequest): Promise<InputStatistics>;
  /**
   * Where inputs follow what layers become: the model is another one from now on, such as with factors folded into it; it is not that
   * layers have been quantized. Called before anything of the blocks that change is replaced; what is read from then on is of the new model,
   * `cross` included.
   *
   * @param changes What becomes of tensors of the checkpoint.
   */
  change?(changes: WeightChanges): Promise<void>;
  /**
   * A tensor has become another.
   *
   * @param params.tensor GGUF name.
   * @param params.values All of its elements, row-major; with the rows in the order of GGUF.
   */
  replace(params: { readonly tensor: string; readonly values: Float32Array }): Promise<void>;
  /** All layers of a block are what they will be. */
  blockDone(block: number): Promise<void>;
  /** Throws away what is kept for a later run. */
  discard?(): Promise<void>;
  /** Frees what the source holds. */
  close(): Promise<void>;
}
