import type { Kernels, TileCodes } from "@quern/kernels";
import { QuernError } from "@quern/tensor";
import type { Matrix } from "../../matrix.ts";
import type { FitParams, FittedGrid, Parameters, TileSize } from "../grid.ts";
import { bitArray, type BitArray } from "./bit-fields.ts";
import { kernelForms, type BlockCodes } from "./block-codes.ts";
import type { BlockLayout } from "./block-layout.ts";
import { BlockParameters } from "./block-parameters.ts";
import type { LevelTable } from "./level-table.ts";

/** A matrix in blocks of ggml. */
export interface BlockGrid extends FittedGrid {
  /** The bytes of the blocks, row after row: what ggml dequantizes to the values of the codes. */
  blocks(codes: Uint8Array): Uint8Array;
  /** Takes over the parameters of blocks, row after row. Returns their codes. */
  read(blocks: Uint8Array): Uint8Array;
}

/** Rows whose scales are searched in one call. */
const ROWS = 64;

const { fround } = Math;

export class FittedBlocks implements BlockGrid {
  readonly unit: TileSize;
  readonly parameterCount: number;
  readonly inner?: Parameters;
  readonly doubles: boolean;
  readonly tileCodes: TileCodes;
  readonly factorCodes: (parameter: number) => TileCodes;
  readonly #kernels: Kernels;
  readonly #layout: BlockLayout;
  readonly #parameters: BlockParameters;
  readonly #codes: BitArray;
  readonly #table: LevelTable;
  // Of the parameters and the table: what every element needs.
  readonly #scales: Float32Array;
  readonly #offsets: Float32Array;
  readonly #levels: Int16Array;
  readonly #nearest: (value: number) => number;
  readonly #columns: number;
  readonly #subColumns: number;

  constructor(params: {
    readonly kernels: Kernels;
    readonly layout: BlockLayout;
    readonly table: LevelTable;
    readonly blockCodes: BlockCodes;
    readonly shape: Pick<Matrix, "rows" | "columns">;
  }) {
    const { kernels, layout, table, blockCodes, shape } = params;
    this.#kernels = kernels;
    this.#layout = layout;
    this.#table = table;
    this.#levels = table.levels;
    this.#nearest = table.nearest;
    this.#codes = bitArray(layout.columns, layout.codes);
    const parameters = new BlockParameters(layout, shape);
    this.#parameters = parameters;
    this.#scales = parameters.scales;
    this.#offsets = parameters.offsets;
    this.#columns = parameters.columns;
    this.#subColumns = parameters.subColumns;
    this.unit = { rows: 1, columns: parameters.unitColumns };
    this.parameterCount = layout.minimum ? 2 : 1;
    this.doubles = layout.d.format.step === "doubling";
    if (layout.subScales) this.inner = this.#subBlocks();
    const { tileCodes, factorCodes } = kernelForms(blockCodes, parameters);
    this.tileCodes = tileCodes;
    this.factorCodes = factorCodes;
  }

  fit({ values, from = 0, to = this.#columns, importance }: FitParams): void {
    const { columns: blockColumns, bytes, type } = this.#layout;
    const { rows } = this.#parameters;
    const all = this.#columns;
    // A unit may be a part of a block.
    const start = Math.floor(from / blockColumns) * blockColumns;
    const end = Math.ceil(to / blockColumns) * blockColumns;
    const columns = end - start;
    const inRow = columns / blockColumns;
    const source = new Float32Array(Math.min(ROWS, rows) * columns);
    const target = new Uint8Array(Math.min(ROWS, rows) * inRow * bytes);
    for (let row = 0; row < rows; row += ROWS) {
      const count = Math.min(ROWS, rows - row);
      for (let i = 0; i < count; i++) {
        const at = (row + i) * all;
        source.set(values.subarray(at + start, at + end), i * columns);
      }
      const fault = this.#kernels.quantize({
        type,
        sourceType: "F32",
        source: new Uint8Array(source.buffer, 0, 4 * count * columns),
        target: target.subarray(0, count * inRow * bytes),
        rows: count,
        columns,
        importance: importance?.subarray(start, end),
      });
      if (fault) this.#refuse(fault.fault, row, start, columns, fault.index);
      for (let i = 0; i < count; i++) {
        const first = ((row + i) * all + start) / blockColumns;
        for (let b = 0; b < inRow; b++) {
          this.#parameters.readBlock(target, (i * inRow + b) * bytes, first + b);
        }
      }
    }
  }

  #refuse(
    fault: "not-finite" | "overflow",
    row: number,
    start: number,
    columns: number,
    index: number,
  ): never {
    const place = `row ${row + Math.floor(index / columns)}, column ${start + (index % columns)}`;
    if (fault === "not-finite")
      throw new QuernError("QUANTIZE_NOT_FINITE", `the weight of ${place} is not finite`);
    throw new QuernError(
      "QUANTIZE_SCALE_TOO_LARGE",
      `weights from ${place} on need a larger scale than a block of ${this.#layout.type} can store`,
    );
  }

  settle(): void {}

  encode(row: number, column: number, value: number): number {
    const sub = Math.floor((row * this.#columns + column) / this.#subColumns);
    const scale = this.#scales[sub]!;
    return this.#nearest(scale === 0 ? 0 : fround(fround(value - this.#offsets[sub]!) / scale));
  }

  decode(row: number, column: number, code: number): number {
    const sub = Math.floor((row * this.#columns + column) / this.#subColumns);
    return fround(fround(this.#scales[sub]! * this.#levels[code]!) + this.#offsets[sub]!);
  }

  neighbour(row: number, column: number, code: number, up: boolean): number {
    const scale = this.#scales[this.#parameters.subAt(row, column)]!;
    return Math.min(Math.max(code + (up === scale >= 0 ? 1 : -1), 0), this.#levels.length - 1);
  }

  factors(row: number, column: number, code: number, into: Float64Array): void {
    const { subScales, minimumFactors } = this.#parameters;
    const sub = this.#parameters.subAt(row, column);
    into[0] = subScales[sub]! * this.#levels[code]!;
    if (this.parameterCount > 1) into[1] = minimumFactors[sub]!;
  }

  readParameters(row: number, column: number, into: Float64Array): void {
    const unit = this.#parameters.unitAt(row, column);
    into[0] = this.#parameters.d[unit]!;
    if (this.parameterCount > 1) into[1] = this.#parameters.minimumD[unit]!;
  }

  writeParameters(row: number, column: number, parameters: Float64Array): void {
    this.#parameters.setUnit(this.#parameters.unitAt(row, column), parameters[0]!, parameters[1] ?? 0);
  }

  step(row: number, column: number, parameter: number): number {
    const d = Math.abs(this.#parameters.d[this.#parameters.unitAt(row, column)]!);
    const share = this.#layout.d.format.step;
    return parameter === 0 && share !== "doubling" ? d * share : d / 4;
  }

  /** s and m, with d and dmin as they are. */
  #subBlocks(): Parameters {
    const parameters = this.#parameters;
    const parameterCount = typeof this.#layout.minimum?.sub === "object" ? 2 : 1;
    return {
      unit: { rows: 1, columns: parameters.subColumns },
      parameterCount,
      readParameters(row, column, into) {
        const sub = parameters.subAt(row, column);
        into[0] = parameters.subScales[sub]!;
        if (parameterCount > 1) into[1] = parameters.subMinimums[sub]!;
      },
      writeParameters(row, column, values) {
        const sub = parameters.subAt(row, column);
        parameters.setSub(sub, values[0]!, values[1] ?? 0);
      },
      step: () => 1,
    };
  }

  blocks(codes: Uint8Array): Uint8Array {
    const { columns, bytes } = this.#layout;
    const count = codes.length / columns;
    const blocks = new Uint8Array(count * bytes);
    const stored = codes.map((code) => this.#table.storedOf[code]!);
    for (let block = 0; block < count; block++) {
      this.#codes.write(blocks, block * bytes, stored, block * columns);
      this.#parameters.writeBlock(blocks, block * bytes, block);
    }
    return blocks;
  }

  read(blocks: Uint8Array): Uint8Array {
    const { columns, bytes } = this.#layout;
    const count = (this.#parameters.rows * this.#columns) / columns;
    if (blocks.length !== count * bytes) {
      throw new QuernError(
        "QUANTIZE_SHAPE",
        `${count} blocks of ${this.#layout.type} have ${count * bytes} bytes, not ${blocks.length}`,
      );
    }
    const codes = new Uint8Array(count * columns);
    for (let block = 0; block < count; block++) {
      this.#codes.read(blocks, block * bytes, codes, block * columns);
      this.#parameters.readBlock(blocks, block * bytes, block);
    }
    return codes.map((code) => this.#table.codeOf[code]!);
  }
}
