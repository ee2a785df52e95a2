import type { StatisticsModel } from "../statistics-file/description.ts";
import type { ImportanceExamination } from "./examine-importance.ts";

/** Weights of matrix columns (the diagonal of X^T X over a calibration text), as `llama-imatrix` collects them. */
export interface Importance {
  /** Path as the user gave it: `llama-quantize` writes it into the metadata. */
  readonly file: string;
  /** The model that they are of, when the file says so, as statistics files do. */
  readonly model?: StatisticsModel;
  /** Path of the statistics file that this is a view of. */
  readonly statistics?: string;
  /** Calibration texts, when the file names them. */
  readonly datasets: readonly string[];
  /** Chunks of text that went in; 0 when unknown. */
  readonly chunks: number;
  /** How many weights there are for a tensor, by GGUF name: `columns`, or `experts x columns` for a tensor of merged experts. */
  readonly lengths: ReadonlyMap<string, number>;
  /** Names of tensors whose weights are there, and not to be used. */
  readonly leftOut: ReadonlySet<string>;
  /** What was found for each tensor when the file was read. */
  readonly examinations: readonly ImportanceExamination[];
  /**
   * Reads some weights of a tensor.
   *
   * @param range Indices below the tensor's length.
   * @throws QuernError `IMPORTANCE_CHANGED` when the file is another one than before, and what reading throws
   */
  readWeights(name: string, range: { readonly start: number; readonly count: number }): Promise<Float32Array>;
}
