/**
 * A place where factors can be folded into the weights of a model without changing what it computes: the inputs of some linear
 * layers are divided by them where they are made, and the layers' columns are multiplied.
 */
export interface Folding {
  /** GGUF name of the module that is divided, "blk.0.attn_norm"; with the number of the expert where there are several. */
  readonly name: string;
  /** Number of the block; absent for the norm before the output. */
  readonly layer?: number;
  /** Elements of an input, each of which has a factor. */
  readonly columns: number;
  /**
   * Columns that must have the same factor have the same number here, counted from 0 without gaps: heads of the output projection that
   * share a head of values. Absent: every column may have its own.
   */
  readonly tied?: Uint32Array;
  /** Layer whose input statistics are those of the inputs, by GGUF name without ".weight", and the matrix in a stack of them. */
  readonly statistics: { readonly module: string; readonly matrix?: number };
  /** Every layer that reads the inputs. */
  readonly readers: readonly FoldingReader[];
  /** Their weights, whose columns are multiplied. */
  readonly multiplied: readonly FoldedPart[];
  /** The weight, and the bias if there is one, of what makes the inputs. */
  readonly divided: readonly FoldedPart[];
  /** What is divided; factors can be fitted to the type in which the weights of a norm are stored (`fitFactors`). */
  readonly divides: "norm" | "linear";
}

export interface FoldingReader {
  /** GGUF name without ".weight". */
  readonly module: string;
  /** Which of several matrices, one after the other in the rows of the GGUF tensor; absent: all of them, or the only one. */
  readonly matrix?: number;
}

/** Where the factors of the columns of an input go in a tensor of the checkpoint, seen as rows x last dimension. */
export interface FoldedPart {
  /** Name in the checkpoint; of a quantized layer the name that its weight would have. */
  readonly tensor: string;
  /** Row-major. */
  readonly shape: readonly number[];
  /** Whether each of the rows has a factor, or each of the elements of all these rows. */
  readonly axis: "rows" | "columns";
  readonly firstRow: number;
  readonly rows: number;
  /**
   * Column of the input whose factor each of these rows, or each element of a row, has; -1: none. Absent: in their order, over and over
   * where there are more rows than columns of the input.
   */
  readonly columnOf?: Int32Array;
  /** What the model adds to what is stored before it is used. */
  readonly offset: number;
}

/** A place where nothing can be folded, and why. */
export interface OmittedFolding {
  /** GGUF name of what would be divided, or of a layer that reads. */
  readonly name: string;
  readonly layer?: number;
  readonly reason: string;
}

export interface Foldings {
  /** Block by block, in the order of the computation. */
  readonly foldings: readonly Folding[];
  readonly omitted: readonly OmittedFolding[];
}
