import type { MemberSpec, QuantizedMatrix } from "@quern/quantize";
import type { ElementType } from "@quern/tensor";

/** How the weights of a linear layer are quantized. Plain JSON: it travels to workers with the expressions that read the layer. */
export interface LayerParameters {
  /** Bits of a code. */
  readonly bits: number;
  /** Weights with a scale in common, counted in outputs and inputs; "all": as many as the layer has. */
  readonly tile: { readonly rows: number | "all"; readonly columns: number | "all" };
  /** Whether the code of 0 is 2^(bits - 1) everywhere. Formats of floating-point codes are symmetric. */
  readonly symmetric: boolean;
  /** Element type of the scales and of what is added to codes. */
  readonly scaleType: ElementType;
  /** Element type of the weight before (bitsandbytes, which says so). @default BF16 */
  readonly weightType?: ElementType;
  /** Whether the groups are those of a list with a group for each input (GPTQ). @default false */
  readonly actOrder?: boolean;
  /** Whether the scales of blocks are quantized too (bitsandbytes). @default false */
  readonly doubleQuantized?: boolean;
  /** How the inputs of the layer are quantized when the model runs. @default not at all */
  readonly activations?: "dynamic" | "static";
  /** What a layer that has been read says about its scales (bitsandbytes). */
  readonly nested?: { readonly blockSize: number; readonly offset: number };
}

/** A linear layer. */
export interface Layer {
  /** Outputs. */
  readonly rows: number;
  /** Inputs. */
  readonly columns: number;
  readonly parameters: LayerParameters;
}

/** Numbers that belong to a layer and are no codes or scales. */
export interface LayerConstants {
  /** What the stored scales are divided by (NVFP4). @default that of the matrix's `scaleParts` */
  readonly globalScale?: number;
  /** Scale of the inputs where it is static. */
  readonly inputScale?: number;
}

export interface Range {
  readonly start: number;
  readonly count: number;
}

/** Some outputs and some inputs of a layer. */
export interface Window {
  readonly rows: Range;
  readonly columns: Range;
}

/** One of the tensors that a layer is stored as. */
export interface Part {
  /** What follows the name of the module: ".qweight". */
  readonly suffix: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
  /**
   * Its bytes, where it only says what the parameters of a layer say too: as far as they are known without weights. A scale that comes of these is
   * 1, an offset 0. Absent from all other parts.
   */
  readonly informative?: () => Uint8Array;
  /** Which of its rows (all dimensions but the last) {@link QuantizedFormat.unpack} needs for a window. */
  readonly needs: (window: Window) => Range;
}

/** Bytes of parts by suffix. */
export type PartBytes = ReadonlyMap<string, Uint8Array>;

/** What the codes of a layer may be. */
export interface MatrixForm {
  readonly tile: { readonly rows: number; readonly columns: number };
  /** Element type that every scale is a value of; absent where scales are derived from what is stored. */
  readonly scaleType?: ElementType;
  /** Zeros from `smallest` to `largest`. */
  readonly zeros?: { readonly smallest: number; readonly largest: number };
  /** Element type that every offset is a value of. */
  readonly offsets?: ElementType;
  readonly values?: Float32Array;
}

/**
 * A container of quantized linear layers: which tensors a layer becomes, and what their bytes mean. Adding one is a file here and
 * a line in `registry.ts`.
 */
export interface QuantizedFormat {
  readonly name: string;
  /** `quant_method` of config.json, "mlx" for MLX. */
  readonly method: string;
  /** Why a layer cannot be stored so; empty when it can. */
  problems(layer: Layer): readonly string[];
  /** Of a layer without problems. */
  form(layer: Layer): MatrixForm;
  /** The grid on which layers of these parameters are rounded: its results have the form of the layer. */
  grid(parameters: LayerParameters): MemberSpec;
  /**
   * How programs that load the format take the experts of a block: as layers of their own, or each projection of all of them as one, whose
   * tensors have a first axis for the experts. @default not where a checkpoint has them in one tensor
   */
  readonly experts?: "apart" | "stacked";
  /**
   * Whether programs that load the format take layers of which checkpoints have the weights as inputs x outputs (transformers, `Conv1D`), as
   * outputs x inputs. @default false
   */
  readonly conv1d?: true;
  /** Whether tiles go on from row to row, so that a matrix is rounded as one row where they do not divide its columns. @default false */
  readonly flattened?: true;
  /** The tensors of a layer, before any weight is read. */
  parts(layer: Layer): readonly Part[];
  /**
   * Bytes of every part. The matrix has the form of the layer. Absent: the format is read only.
   *
   * @throws QuernError `FORMAT_MATRIX_INVALID` for values that the bytes cannot hold
   */
  pack?(matrix: QuantizedMatrix, layer: Layer, constants: LayerConstants): PartBytes;
  /**
   * Which windows can be unpacked without the rest: any outputs, or any inputs too because codes lie by input, and rows of the file
   * hold all outputs. Windows begin at multiples of `step`.
   */
  windows(layer: Layer): {
    readonly along: "rows" | "columns";
    readonly rowStep: number;
    readonly columnStep: number;
  };
  /**
   * The codes of a window.
   *
   * @param bytes Of every part, the rows that the window needs; informative parts may be absent where the parameters are complete.
   * @throws QuernError `FORMAT_PARTS_INVALID` for bytes without meaning
   */
  unpack(bytes: PartBytes, layer: Layer, window: Window): QuantizedMatrix;
}

/** Rows and columns of a tile of a layer. */
export function tileOf({ rows, columns, parameters: { tile } }: Layer): { rows: number; columns: number } {
  return {
    rows: tile.rows === "all" ? rows : tile.rows,
    columns: tile.columns === "all" ? columns : tile.columns,
  };
}

/** Tiles below and beside each other. */
export function tileCounts(layer: Layer): { rows: number; columns: number } {
  const tile = tileOf(layer);
  return { rows: Math.ceil(layer.rows / tile.rows), columns: Math.ceil(layer.columns / tile.columns) };
}

/** Outputs and inputs of all of a layer. */
export function wholeWindow({ rows, columns }: Layer): Window {
  return { rows: { start: 0, count: rows }, columns: { start: 0, count: columns } };
}

/** For parts that are needed whole. */
export function everyRow(count: number): (window: Window) => Range {
  return () => ({ start: 0, count });
}

/** For parts with a row for each output. */
export function windowRows({ rows }: Window): Range {
  return rows;
}

/** For parts with a row for every `size` outputs. */
export function rowsBy(size: number): (window: Window) => Range {
  return ({ rows: { start, count } }) => {
    const first = Math.floor(start / size);
    return { start: first, count: Math.ceil((start + count) / size) - first };
  };
}
