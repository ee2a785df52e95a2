import type { Matrix } from "../../matrix.ts";
import { bitArray, type BitArray } from "./bit-fields.ts";
import type { BlockLayout, SubScales } from "./block-layout.ts";

const { fround } = Math;

/** The whole numbers s or m of a block: stored ones, or one and the same everywhere. */
interface WholeNumbers {
  readonly bits: BitArray | undefined;
  readonly flip: number;
  readonly bias: number;
  readonly least: number;
  readonly most: number;
}

function wholeNumbers(sub: SubScales | number, count: number): WholeNumbers {
  if (typeof sub === "number") return { bits: undefined, flip: 0, bias: 0, least: sub, most: sub };
  const { fields, bits, bias = 0, flip = 0 } = sub;
  return { bits: bitArray(count, fields), flip, bias, least: -bias, most: 2 ** bits - 1 - bias };
}

/**
 * The parameters of all blocks of a matrix, and what they come to for each sub-block: a weight is `scales[j] * level + offsets[j]`, both
 * operations rounded to F32.
 */
export class BlockParameters {
  readonly layout: BlockLayout;
  readonly rows: number;
  readonly columns: number;
  readonly unitColumns: number;
  readonly subColumns: number;
  /** By unit, row by row. */
  readonly d: Float32Array;
  readonly minimumD: Float32Array;
  /** s and m, by sub-block, row by row. */
  readonly subScales: Int16Array;
  readonly subMinimums: Int16Array;
  readonly scales: Float32Array;
  /** -0 where there are no minimums: adding it changes nothing. */
  readonly offsets: Float32Array;
  readonly #wholeScales: WholeNumbers;
  readonly #wholeMinimums: WholeNumbers;

  constructor(layout: BlockLayout, { rows, columns }: Pick<Matrix, "rows" | "columns">) {
    this.layout = layout;
    this.rows = rows;
    this.columns = columns;
    this.unitColumns = layout.unitColumns ?? layout.columns;
    this.subColumns = layout.subColumns ?? this.unitColumns;
    const units = (rows * columns) / this.unitColumns;
    const subs = (rows * columns) / this.subColumns;
    this.d = new Float32Array(units);
    this.minimumD = new Float32Array(units);
    this.subScales = new Int16Array(subs);
    this.subMinimums = new Int16Array(subs);
    this.scales = new Float32Array(subs);
    this.offsets = new Float32Array(subs).fill(-0);
    const count = layout.columns / this.subColumns;
    this.#wholeScales = wholeNumbers(layout.subScales ?? 1, count);
    this.#wholeMinimums = wholeNumbers(layout.minimum?.sub ?? 0, count);
  }

  unitAt(row: number, column: number): number {
    return Math.floor((row * this.columns + column) / this.unitColumns);
  }

  subAt(row: number, column: number): number {
    return Math.floor((row * this.columns + column) / this.subColumns);
  }

  /** Takes d, dmin, s and m of the blocks from `block` on. */
  readBlock(bytes: Uint8Array, at: number, block: number): void {
    const { layout } = this;
    const unitsInBlock = layout.columns / this.unitColumns;
    const { d, minimum } = layout;
    for (let i = 0; i < unitsInBlock; i++) {
      const unit = block * unitsInBlock + i;
      this.d[unit] = d.format.read(bytes, at + d.at + i * d.format.bytes);
      if (minimum) {
        this.minimumD[unit] = minimum.d.format.read(bytes, at + minimum.d.at + i * minimum.d.format.bytes);
      }
    }
    const subsInBlock = layout.columns / this.subColumns;
    const first = block * subsInBlock;
    readWholeNumbers(this.#wholeScales, bytes, at, this.subScales, first, subsInBlock);
    readWholeNumbers(this.#wholeMinimums, bytes, at, this.subMinimums, first, subsInBlock);
    for (let i = 0; i < subsInBlock; i++) this.#updateSub(first + i);
  }

  /** Writes them into a block of zeros. */
  writeBlock(bytes: Uint8Array, at: number, block: number): void {
    const { layout } = this;
    const unitsInBlock = layout.columns / this.unitColumns;
    const { d, minimum } = layout;
    for (let i = 0; i < unitsInBlock; i++) {
      const unit = block * unitsInBlock + i;
      d.format.write(bytes, at + d.at + i * d.format.bytes, this.d[unit]!);
      minimum?.d.format.write(bytes, at + minimum.d.at + i * minimum.d.format.bytes, this.minimumD[unit]!);
    }
    const subsInBlock = layout.columns / this.subColumns;
    const first = block * subsInBlock;
    writeWholeNumbers(this.#wholeScales, bytes, at, this.subScales, first, subsInBlock);
    writeWholeNumbers(this.#wholeMinimums, bytes, at, this.subMinimums, first, subsInBlock);
  }

  /** Changes d and dmin of a unit to the nearest that can be stored. */
  setUnit(unit: number, d: number, minimumD: number): void {
    const { layout } = this;
    this.d[unit] = layout.d.format.round(d);
    if (layout.minimum) this.minimumD[unit] = layout.minimum.d.format.round(minimumD);
    const subsInUnit = this.unitColumns / this.subColumns;
    for (let i = 0; i < subsInUnit; i++) this.#updateSub(unit * subsInUnit + i);
  }

  /** Changes s and m of a sub-block to the nearest that can be stored. */
  setSub(sub: number, scale: number, minimum: number): void {
    this.subScales[sub] = wholeWithin(this.#wholeScales, scale);
    this.subMinimums[sub] = wholeWithin(this.#wholeMinimums, minimum);
    this.#updateSub(sub);
  }

  #updateSub(sub: number): void {
    const unit = Math.floor((sub * this.subColumns) / this.unitColumns);
    this.scales[sub] = fround(this.d[unit]! * this.subScales[sub]!);
    if (this.layout.minimum) this.offsets[sub] = -fround(this.minimumD[unit]! * this.subMinimums[sub]!);
  }
}

function wholeWithin({ least, most }: WholeNumbers, value: number): number {
  return Math.min(Math.max(Math.round(value), least), most);
}

function readWholeNumbers(
  { bits, flip, bias, least }: WholeNumbers,
  bytes: Uint8Array,
  at: number,
  into: Int16Array,
  first: number,
  count: number,
): void {
  if (bits === undefined) into.fill(least, first, first + count);
  else {
    bits.read(bytes, at, into, first);
    for (let i = first; i < first + count; i++) into[i] = (into[i]! ^ flip) - bias;
  }
}

function writeWholeNumbers(
  { bits, flip, bias }: WholeNumbers,
  bytes: Uint8Array,
  at: number,
  from: Int16Array,
  first: number,
  count: number,
): void {
  bits?.write(
    bytes,
    at,
    from.subarray(first, first + count).map((value) => (value + bias) ^ flip),
    0,
  );
}
