import { rm } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { byteSize, encodeElements, type ErrorSubject, QuernError } from "@quern/tensor";
import {
  checkOutputPlaces,
  createPartialFile,
  Journal,
  journalPathOf,
  type PartialFile,
  partialPathOf,
  reopenPartialFile,
  reopenPlacedFile,
  reportingAs,
  syncDirectory,
} from "@quern/tensor/node";
import { findInvalidValue } from "./check-values.ts";
import type { StatisticsInput } from "./description.ts";
import { elementsOf, ENTRIES, entriesOf, type StatisticsEntry, tensorOf } from "./entries.ts";
import { type BlockRecord, findStatisticsProgress, runOf, STATISTICS_JOURNAL } from "./journal.ts";
import type { StatisticsPlan } from "./plan.ts";
import { WrittenRanges } from "./written-ranges.ts";

/** Values of an entry of an input. */
export interface StatisticsValues {
  /** Name of the input. */
  readonly input: string;
  readonly entry: StatisticsEntry;
  /** Default: the first. */
  readonly matrix?: number;
  /** Index of the first value among those of the matrix. Default: 0. */
  readonly start?: number;
  /** Rounded to the type of the entry. They may go on into the matrices that follow. */
  readonly values: Float32Array | Float64Array | readonly number[];
}

/** Values that are encoded at a time. */
const CHUNK = 2 ** 18;

/**
 * Begins to write a statistics file, or goes on where an interrupted run stopped. Until it is finished it is called `<path>.partial`,
 * which no reader takes for a statistics file, with `<path>.partial.journal` beside it.
 *
 * @param params.force Whether a finished file may be replaced in the end, and an unfinished one of another run thrown away. Default: false.
 * @param params.restart Whether an unfinished file is thrown away, even one of this very run. Default: false.
 * @throws QuernError `STATISTICS_OTHER_RUN`, `STATISTICS_JOURNAL_INVALID`; `OUTPUT_IN_USE`; `OUTPUT_*` as `checkOutputPlaces`; `OUTPUT_DISK_FULL`,
 * `OUTPUT_WRITE_FAILED`
 */
export async function createStatisticsWriter(params: {
  plan: StatisticsPlan;
  path: string;
  force?: boolean;
  restart?: boolean;
}): Promise<StatisticsWriter> {
  const { plan, force = false, restart = false } = params;
  const path = resolve(params.path);
  const found = await findStatisticsProgress({ path, plan, force, restart });
  const isFinished = found?.isPlaced === true;
  // What goes on has its room on the disk, or finds out.
  const fileSize = found === undefined ? plan.fileSize : 0;
  await checkOutputPlaces({ places: [{ path, fileSize, isFinished }], sources: [], force });
  const journal: Journal<BlockRecord> = await (found === undefined
    ? Journal.begin({ path: journalPathOf(path), kind: STATISTICS_JOURNAL, identity: runOf(plan) })
    : Journal.resume(found.journal));
  const completed = new Set(found?.completed);
  try {
    const file = await openFile({ path, size: plan.fileSize, replace: force, found });
    return new StatisticsWriter({ plan, journal, completed, file });
  } catch (error) {
    await (found === undefined ? journal.remove() : journal.close());
    throw error;
  }
}

async function openFile(params: {
  path: string;
  size: number;
  replace: boolean;
  found: { readonly isPlaced: boolean } | undefined;
}): Promise<PartialFile> {
  const { path, found } = params;
  if (found === undefined) return createPartialFile(params);
  if (!found.isPlaced) return reopenPartialFile(params);
  // A crash may have left both names.
  await reportingAs(path, () => rm(partialPathOf(path), { force: true }));
  return reopenPlacedFile(params);
}

/** Writes a statistics file in place, in any order; see {@link createStatisticsWriter}. */
export class StatisticsWriter {
  readonly #plan: StatisticsPlan;
  readonly #journal: Journal<BlockRecord>;
  readonly #file: PartialFile;
  readonly #completed: Set<number>;
  readonly #inputs: ReadonlyMap<string, StatisticsInput>;
  /** By tensor name. */
  readonly #written = new Map<string, WrittenRanges>();
  #open = true;
  /** Whether something that is taken as written is not. */
  #failed = false;

  /** For {@link createStatisticsWriter}. */
  constructor(params: {
    plan: StatisticsPlan;
    journal: Journal<BlockRecord>;
    completed: Set<number>;
    file: PartialFile;
  }) {
    this.#plan = params.plan;
    this.#journal = params.journal;
    this.#file = params.file;
    this.#completed = params.completed;
    this.#inputs = new Map(this.#plan.description.inputs.map((input) => [input.name, input]));
  }

  /** Numbers of the blocks that are complete and on disk, those of earlier runs included. */
  get completed(): ReadonlySet<number> {
    return this.#completed;
  }

  /**
   * Writes values, each once.
   *
   * @throws QuernError `STATISTICS_WRITE_INVALID` for values that have no place, or have been written; `STATISTICS_VALUE_INVALID` for a
   * number that the entry cannot hold (NaN, too large, negative where it is a sum of squares); `OUTPUT_DISK_FULL`, `OUTPUT_WRITE_FAILED`
   */
  async write({ input: name, entry, matrix = 0, start = 0, values }: StatisticsValues): Promise<void> {
    this.#checkOpen();
    const input = this.#inputs.get(name);
    if (input === undefined || !entriesOf(input).includes(entry)) {
      throw this.#refused(`the input "${name}" has no ${entry} in the plan`, { tensor: name });
    }
    const tensor = tensorOf(input, entry);
    const subject = { tensor: tensor.name };
    if (this.#completed.has(input.block)) {
      throw this.#refused(`"${tensor.name}" is of block ${input.block}, which is complete`, subject);
    }
    const perMatrix = elementsOf(input, entry);
    const first = matrix * perMatrix + start;
    const end = first + values.length;
    const isPlace = [matrix, start].every((index) => Number.isInteger(index) && index >= 0);
    if (!isPlace || end > perMatrix * input.matrices) {
      const room = perMatrix * input.matrices;
      throw this.#refused(`the values ${first} to ${end} of "${tensor.name}" are not among its ${room}`, {
        ...subject,
        offset: first,
      });
    }
    const invalid = findInvalidValue(values, entry);
    if (invalid !== undefined) {
      const { index, expected } = invalid;
      const problem = `value ${first + index} of "${tensor.name}" is ${values[index]}: expected ${expected}`;
      throw this.#error("STATISTICS_VALUE_INVALID", problem, { ...subject, offset: first + index });
    }
    if (!this.#rangesOf(tensor.name).add(first, end)) {
      const problem = `some of the values ${first} to ${end} of "${tensor.name}" have been written`;
      throw this.#refused(problem, { ...subject, offset: first });
    }
    for (let done = 0; done < values.length; done += CHUNK) {
      const chunk = values.slice(done, done + CHUNK);
      await this.#put(tensor.name, first + done, encodeElements({ type: tensor.type, values: chunk }));
    }
  }

  /**
   * Makes sure that all statistics of a block are on disk, and notes it.
   *
   * @throws QuernError `STATISTICS_INCOMPLETE`; `OUTPUT_REPLACED` when another process took the file, `OUTPUT_DISK_FULL`,
   * `OUTPUT_WRITE_FAILED`
   */
  async completeBlock(block: number): Promise<void> {
    this.#checkOpen();
    if (!this.#plan.blocks.includes(block)) {
      throw this.#refused(`there is no block ${block} in the plan`, {});
    }
    if (this.#completed.has(block)) return;
    for (const input of this.#inputs.values()) {
      if (input.block !== block) continue;
      for (const entry of entriesOf(input)) await this.#completeEntry(input, entry);
    }
    await this.#file.settle();
    await this.#journal.append({ completed: block });
    await this.#journal.settle();
    this.#completed.add(block);
  }

  /**
   * Gives the file its final name.
   *
   * @throws QuernError `STATISTICS_INCOMPLETE` unless all blocks are complete; `OUTPUT_EXISTS`, `OUTPUT_REPLACED`,
   * `OUTPUT_DISK_FULL`, `OUTPUT_WRITE_FAILED`
   */
  async finish(): Promise<void> {
    this.#checkOpen();
    const missing = this.#plan.blocks.find((block) => !this.#completed.has(block));
    if (missing !== undefined) throw this.#incomplete(`block ${missing} is not complete`, {});
    // Last: without its header nothing can read the file.
    if (!this.#file.isPlaced) await this.#file.write(this.#plan.layout.header, 0);
    await this.#file.settle();
    await this.#file.place();
    this.#open = false;
    await this.#file.close();
    await syncDirectory(dirname(this.#file.path));
    await this.#journal.remove();
  }

  /** Stops: blocks that are complete stay for a later run; without any, nothing is left. Does nothing after `finish`. */
  async close(): Promise<void> {
    if (this.#completed.size === 0) return this.abandon();
    if (!this.#open) return;
    this.#open = false;
    await this.#file.close();
    await this.#journal.close();
  }

  /** Stops and removes what has been written. Does nothing after `finish` or `close`. */
  async abandon(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await this.#file.abandon();
    await this.#journal.remove();
  }

  async #completeEntry(input: StatisticsInput, entry: StatisticsEntry): Promise<void> {
    const { name, type } = tensorOf(input, entry);
    const length = elementsOf(input, entry) * input.matrices;
    for (const { start, end } of this.#rangesOf(name).gaps(length)) {
      if (ENTRIES[entry].sparse !== true) {
        const problem = `the values ${start} to ${end} of "${name}" have not been written`;
        throw this.#incomplete(problem, { tensor: name, offset: start });
      }
      // An earlier run may have been interrupted here.
      for (let at = start; at < end; at += CHUNK) {
        const zeros = new Float32Array(Math.min(CHUNK, end - at));
        await this.#put(name, at, encodeElements({ type, values: zeros }));
      }
    }
  }

  /** @param index Of the first element in its tensor. */
  async #put(tensor: string, index: number, bytes: Uint8Array): Promise<void> {
    const { offset, info } = this.#plan.layout.tensors.get(tensor)!;
    try {
      await this.#file.write(bytes, offset + byteSize({ type: info.type, shape: [index] }));
    } catch (error) {
      this.#failed = true;
      throw error;
    }
  }

  #rangesOf(tensor: string): WrittenRanges {
    const ranges = this.#written.get(tensor) ?? new WrittenRanges();
    this.#written.set(tensor, ranges);
    return ranges;
  }

  #checkOpen(): void {
    if (!this.#open) throw this.#refused("the writer is finished or closed", {});
    if (this.#failed) throw this.#refused("writing has failed before", {});
  }

  #refused(problem: string, subject: ErrorSubject): QuernError {
    return this.#error("STATISTICS_WRITE_INVALID", problem, subject);
  }

  #incomplete(problem: string, subject: ErrorSubject): QuernError {
    return this.#error("STATISTICS_INCOMPLETE", problem, subject);
  }

  #error(code: string, problem: string, subject: ErrorSubject): QuernError {
    const file = this.#file.path;
    return new QuernError(code, `${file}: ${problem}`, { subject: { file, ...subject } });
  }
}
