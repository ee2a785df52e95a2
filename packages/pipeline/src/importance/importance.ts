/** Weights of matrix columns (the diagonal of X^T X over a calibration text), as `llama-imatrix` collects them. */
export interface Importance {
  /** Path as the user gave it: `llama-quantize` writes it into the metadata. */
  readonly file: string;
  /** Calibration texts, when the file names them. */
  readonly datasets: readonly string[];
  /** Chunks of text that went in; 0 when unknown. */
  readonly chunks: number;
  /** By GGUF tensor name: `columns` weights, or `experts x columns` for a tensor of merged experts. */
  readonly weights: ReadonlyMap<string, Float32Array>;
}
