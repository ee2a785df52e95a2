import { byteSize, type ByteSource, decodeElements, QuernError } from "@quern/tensor";
import type { SafetensorsTensor } from "safetensors-js";
import { findInvalidValue } from "./check-values.ts";
import type {
  JsonValue,
  StatisticsCorpus,
  StatisticsDescription,
  StatisticsInput,
  StatisticsModel,
} from "./description.ts";
import { elementsOf, ENTRIES, entriesOf, type StatisticsEntry, tensorOf } from "./entries.ts";
import { mirrorLowerHalf, packedLength, rowRuns, unpackRows } from "./packed-triangle.ts";

/** Statistics of the columns of one matrix. Means are over its inputs, and 0 where there were none. */
export interface ChannelStatistics {
  /** How many inputs there were. */
  readonly tokens: number;
  readonly mean: Float32Array;
  readonly meanSquare: Float32Array;
  readonly meanAbs: Float32Array;
  readonly absMax: Float32Array;
}

/** What is known of the windows that were kept apart. */
export interface HoldOutStatistics {
  /** How many inputs there were. */
  readonly tokens: number;
  readonly meanSquare: Float32Array;
  /** Some of them as they are: `rowCount` x columns. */
  readonly rows: Float32Array;
  readonly rowCount: number;
}

/** Elements of a triangle that are read at a time when it is unpacked. */
const TRIANGLE_PIECE = 2 ** 22;

/**
 * An open statistics file. Statistics are read when they are asked for; modules are called by GGUF names without ".weight", and those
 * with the same input have the same statistics. Everything read is checked.
 *
 * Methods throw QuernError `STATISTICS_UNKNOWN_MODULE` for a module or a matrix that is not in it, `STATISTICS_NOT_COLLECTED` for what
 * was not asked of the run, `STATISTICS_INVALID` for a number that cannot be, and what the source throws.
 */
export class Statistics implements StatisticsDescription {
  /** Name of the file. */
  readonly file: string;
  readonly model: StatisticsModel;
  readonly corpus: StatisticsCorpus;
  readonly inputs: readonly StatisticsInput[];
  readonly tool: string;
  readonly options: Readonly<Record<string, JsonValue>>;
  readonly #source: ByteSource;
  readonly #tensors: ReadonlyMap<string, SafetensorsTensor>;
  /** By name of a module or input. */
  readonly #inputs = new Map<string, StatisticsInput>();
  /** By name of the input. */
  readonly #tokens = new Map<string, readonly number[]>();

  private constructor(params: {
    source: ByteSource;
    description: StatisticsDescription;
    tensors: ReadonlyMap<string, SafetensorsTensor>;
  }) {
    const { source, description, tensors } = params;
    this.file = source.name;
    this.model = description.model;
    this.corpus = description.corpus;
    this.inputs = description.inputs;
    this.tool = description.tool;
    this.options = description.options;
    this.#source = source;
    this.#tensors = tensors;
    for (const input of this.inputs) {
      for (const name of [input.name, ...input.modules]) this.#inputs.set(name, input);
    }
  }

  /** For `readStatistics`: of a file whose header has been checked. */
  static async load(params: {
    source: ByteSource;
    description: StatisticsDescription;
    tensors: ReadonlyMap<string, SafetensorsTensor>;
  }): Promise<Statistics> {
    const statistics = new Statistics(params);
    for (const input of statistics.inputs) {
      const tokens = await statistics.#fill(input, "tokens", 0, new Float64Array(input.matrices));
      statistics.#tokens.set(input.name, [...tokens]);
    }
    return statistics;
  }

  /** Whether there are statistics of a module. */
  has(module: string): boolean {
    return this.#inputs.has(module);
  }

  /** What a module reads. */
  input(module: string): StatisticsInput {
    return this.#inputs.get(module) ?? this.#unknown(module, "no statistics of it were collected");
  }

  /** How many inputs reached each matrix of a module. */
  tokens(module: string): readonly number[] {
    return this.#tokens.get(this.input(module).name)!;
  }

  /** Statistics of the columns of a matrix. */
  async readChannels(module: string, matrix = 0): Promise<ChannelStatistics> {
    const tokens = this.tokens(module)[matrix] ?? 0;
    const [mean, meanSquare, meanAbs, absMax] = await Promise.all([
      this.#readFloats(module, matrix, "sum"),
      this.#readFloats(module, matrix, "sumSquares"),
      this.#readFloats(module, matrix, "sumAbs"),
      this.#readFloats(module, matrix, "absMax"),
    ]);
    for (const sums of [mean, meanSquare, meanAbs]) divide(sums, tokens);
    return { tokens, mean, meanSquare, meanAbs, absMax };
  }

  /** Counts of |x| over all columns of a matrix; `percentile` makes something of them. */
  async readHistogram(module: string, matrix = 0): Promise<Float64Array> {
    return this.#readCounts(module, matrix, "histogram");
  }

  /**
   * Sums of squares, those of one matrix after the other.
   *
   * @param range Indices below matrices x columns. Default: all.
   */
  async readSumSquares(
    module: string,
    range?: { readonly start: number; readonly count: number },
  ): Promise<Float32Array> {
    const input = this.input(module);
    const length = input.matrices * input.columns;
    const { start, count } = range ?? { start: 0, count: length };
    if (!(start >= 0 && count >= 0 && start + count <= length)) {
      return this.#unknown(module, `its ${length} sums do not include ${start} to ${start + count}`);
    }
    return this.#fill(input, "sumSquares", start, new Float32Array(count));
  }

  /** Rows of the lower triangle of X^T X (sums, not means), one after the other: row r has r + 1 elements. */
  async readHessianRows(params: {
    module: string;
    /** Default: the first. */
    matrix?: number;
    start: number;
    count: number;
  }): Promise<Float32Array> {
    const { module, matrix = 0, start, count } = params;
    const input = this.#collected(module, matrix, "hessian");
    if (!(start >= 0 && count >= 0 && start + count <= input.columns)) {
      const problem = `its ${input.columns} rows do not include ${start} to ${start + count}`;
      return this.#unknown(module, problem);
    }
    const first = packedLength(start);
    const rows = new Float32Array(packedLength(start + count) - first);
    return this.#fill(input, "hessian", matrix * packedLength(input.columns) + first, rows);
  }

  /**
   * X^T X (sums, not means): columns x columns, symmetric.
   *
   * @param params.into Array to fill, of at least that many elements; a new one unless given.
   * @throws QuernError `STATISTICS_TOO_LARGE` where there is no room for it
   */
  async readHessian(params: { module: string; matrix?: number; into?: Float64Array }): Promise<Float64Array> {
    const { module, matrix = 0 } = params;
    const { columns: size } = this.#collected(module, matrix, "hessian");
    const into = this.#roomFor(module, size, params.into);
    for (const { start, count } of rowRuns({ start: 0, count: size, most: TRIANGLE_PIECE })) {
      const rows = await this.readHessianRows({ module, matrix, start, count });
      unpackRows({ rows, start, size, into });
    }
    mirrorLowerHalf(into, size);
    return into;
  }

  /** What is known of the windows that were kept apart. */
  async readHoldOut(module: string, matrix = 0): Promise<HoldOutStatistics> {
    const input = this.#collected(module, matrix, "holdOutRows");
    const [tokens] = await this.#readCounts(module, matrix, "holdOutTokens");
    const [rowCount] = await this.#readCounts(module, matrix, "holdOutRowCounts");
    if (rowCount! > Math.min(input.holdOutRows, tokens!)) {
      const problem = `${rowCount} inputs of "${module}" are said to be stored, of ${tokens}`;
      throw this.#invalid(`${problem}: expected at most ${input.holdOutRows}`, module);
    }
    const meanSquare = await this.#readFloats(module, matrix, "holdOutSumSquares");
    divide(meanSquare, tokens!);
    const start = matrix * elementsOf(input, "holdOutRows");
    const rows = new Float32Array(rowCount! * input.columns);
    await this.#fill(input, "holdOutRows", start, rows);
    return { tokens: tokens!, meanSquare, rows, rowCount: rowCount! };
  }

  /** All inputs of the windows that were kept whole, rows x columns, and where their sequences begin. */
  async readWindows(module: string): Promise<{ rows: Float32Array; starts: readonly number[] }> {
    const input = this.#collected(module, 0, "windowRows");
    return { rows: await this.#readFloats(module, 0, "windowRows"), starts: input.windows!.starts };
  }

  /** Closes the file. */
  async close(): Promise<void> {
    await this.#source.close();
  }

  /** The input of a module that has the entry. */
  #collected(module: string, matrix: number, entry: StatisticsEntry): StatisticsInput {
    const input = this.input(module);
    if (!(Number.isInteger(matrix) && matrix >= 0 && matrix < input.matrices)) {
      return this.#unknown(module, `it has no matrix ${matrix}, but ${input.matrices} in all`);
    }
    if (entriesOf(input).includes(entry)) return input;
    const { suffix, holdOut } = ENTRIES[entry];
    throw new QuernError(
      "STATISTICS_NOT_COLLECTED",
      `${this.file}: there is no ${suffix} of ${holdOut === true ? "hold-out" : "calibration"} windows for "${module}": it was not collected`,
      { subject: { file: this.file, tensor: module } },
    );
  }

  /** All values that a matrix has of an entry of floats. */
  async #readFloats(module: string, matrix: number, entry: StatisticsEntry): Promise<Float32Array> {
    const input = this.#collected(module, matrix, entry);
    const count = elementsOf(input, entry);
    return this.#fill(input, entry, matrix * count, new Float32Array(count));
  }

  /** All values that a matrix has of an entry of integers. */
  async #readCounts(module: string, matrix: number, entry: StatisticsEntry): Promise<Float64Array> {
    const input = this.#collected(module, matrix, entry);
    const count = elementsOf(input, entry);
    return this.#fill(input, entry, matrix * count, new Float64Array(count));
  }

  /** Fills an array with values of an entry, all matrices counted from `start` on. */
  async #fill<A extends Float32Array | Float64Array>(
    input: StatisticsInput,
    entry: StatisticsEntry,
    start: number,
    into: A,
  ): Promise<A> {
    const { info, offset } = this.#tensors.get(tensorOf(input, entry).name)!;
    const { type } = info;
    const sizeOf = (elements: number): number => byteSize({ type, shape: [elements] });
    const bytes = await this.#source.read(offset + sizeOf(start), sizeOf(into.length));
    decodeElements({ type, bytes, into });
    const found = findInvalidValue(into, entry);
    if (found === undefined) return into;
    const problem = `value ${start + found.index} of "${info.name}" is ${into[found.index]}: expected ${found.expected}`;
    throw this.#invalid(problem, info.name, start + found.index);
  }

  #roomFor(module: string, size: number, into?: Float64Array): Float64Array {
    try {
      if (into === undefined) return new Float64Array(size * size);
      if (into.length >= size * size) return into;
    } catch {
      // Said below.
    }
    throw new QuernError(
      "STATISTICS_TOO_LARGE",
      `${this.file}: ${size} x ${size} sums of products for "${module}" do not fit in ${into === undefined ? "memory" : `${into.length} elements`}`,
      { subject: { file: this.file, tensor: module } },
    );
  }

  #unknown(module: string, problem: string): never {
    throw new QuernError("STATISTICS_UNKNOWN_MODULE", `${this.file}: "${module}": ${problem}`, {
      subject: { file: this.file, tensor: module },
    });
  }

  #invalid(problem: string, tensor: string, offset?: number): QuernError {
    return new QuernError("STATISTICS_INVALID", `${this.file}: ${problem}`, {
      subject: { file: this.file, tensor, ...(offset === undefined ? {} : { offset }) },
    });
  }
}

function divide(sums: Float32Array, count: number): void {
  if (count > 0) for (let index = 0; index < sums.length; index++) sums[index]! /= count;
}
