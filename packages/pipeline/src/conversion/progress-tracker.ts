import { elementCount } from "@quern/tensor";
import type { ConversionEvent } from "../events.ts";
import type { PlannedBlockMatrix } from "../layers/block-plan.ts";
import type { RoundedTensor } from "../layers/running/rounded-tensors.ts";
import type { ConversionPlan } from "../plan.ts";
import type { ErrorTracker } from "./error-tracker.ts";
import type { Slab, SlabResult } from "./slab.ts";
import { FinishedTensors } from "./finished-tensors.ts";
import type { TensorOutcome } from "./tensor-converter.ts";
import { type TensorPasses, tensorPasses } from "./tensor-passes.ts";
import type { TensorPart, TensorPlaces } from "./tensor-places.ts";

/**
 * What rounding a weight by its inputs takes, in conversions of a weight: some for itself, and some for each of the inputs that its error is
 * passed on to. About; it depends on types, roundings and the machine.
 */
function roundingWork(columns: number): number {
  return 4 + columns / 128;
}

/** How far a tensor is. */
interface TensorProgress {
  /** Elements that are rounded or written, those of all passes. */
  done: number;
  readonly total: number;
  /** Elements that slabs have still to write. */
  inSlabs: number;
  /** Passes that are not over. */
  passes: number;
}

/** Turns the fate of slabs, and of matrices that are rounded by their inputs, into events. */
export class ProgressTracker {
  readonly #plan: ConversionPlan;
  readonly #emit: (event: ConversionEvent) => void;
  readonly #errors: ErrorTracker;
  readonly #places: TensorPlaces;
  readonly #tensors: readonly TensorProgress[];
  readonly #total: number;
  readonly #started = new Set<number>();
  #done = 0;
  #bytesWritten = 0;
  #finished = 0;

  constructor(params: {
    plan: ConversionPlan;
    emit: (event: ConversionEvent) => void;
    errors: ErrorTracker;
    places: TensorPlaces;
    /** What an earlier run has done. */
    finished: FinishedTensors;
  }) {
    const { plan, finished } = params;
    this.#places = params.places;
    this.#plan = plan;
    this.#emit = params.emit;
    this.#errors = params.errors;
    const passes = tensorPasses(plan, finished);
    const all = tensorPasses(plan, new FinishedTensors(plan));
    this.#tensors = plan.tensors.map(({ shape }, index): TensorProgress => {
      const elements = elementCount(shape);
      const { slabs } = passes[index]!;
      const left = passCount(passes[index]!);
      const total = elements * passCount(all[index]!);
      return { done: total - elements * left, total, inSlabs: slabs ? elements : 0, passes: left };
    });
    const work = (passes: readonly TensorPasses[]): number =>
      plan.tensors.reduce(
        (sum, { shape }, index) => sum + elementCount(shape) * workOf(passes[index]!, shape.at(-1) ?? 1),
        0,
      );
    this.#total = work(all);
    this.#done = this.#total - work(passes);
    this.#finished = this.#tensors.filter(({ passes }) => passes === 0).length;
  }

  start(): void {
    this.#emit({
      type: "start",
      tensors: this.#plan.tensors.length,
      parameters: this.#plan.parameters,
      files: this.#plan.outputs.flatMap(({ files }) => files.map(({ path }) => path)),
    });
  }

  /** Says what is left of an earlier run. @param redone Tensors that it had finished, and that were found damaged. */
  resumed(redone: number): void {
    this.#emit({
      type: "resume",
      tensors: this.#finished,
      redone,
      done: this.#done,
      total: this.#total,
    });
  }

  slabStarted({ tensor }: Slab): void {
    this.#start(tensor);
  }

  /** @returns what is complete now, if this was the last slab of a tensor */
  slabDone(slab: Slab, result: SlabResult): TensorPart[] {
    const { tensor, rows, columns, conversions } = slab;
    this.#errors.slabDone(slab, result);
    const progress = this.#tensors[tensor]!;
    progress.inSlabs -= rows * columns;
    this.#advance(tensor, rows * columns, result.bytesWritten);
    if (progress.inSlabs > 0) return [];
    this.#errors.slabsDone(tensor);
    this.#passDone(tensor);
    return conversions.map(({ targets }) => this.#places.partOf(tensor, targets));
  }

  /** Rows have been rounded by their inputs. */
  rowsRounded({ tensor, linear }: PlannedBlockMatrix, rows: number): void {
    this.#start(tensor);
    const elements = rows * linear.columns;
    this.#advance(tensor, elements, 0, elements * roundingWork(linear.columns));
  }

  /** A matrix that was rounded by its inputs is in the files. */
  matrixWritten({ tensor }: PlannedBlockMatrix, bytes: number): void {
    this.#advance(tensor, 0, bytes);
  }

  /** All matrices of a tensor are. @returns what is complete now */
  tensorRounded(planned: PlannedBlockMatrix, rounded: RoundedTensor): TensorPart {
    this.#errors.roundedDone(planned, rounded);
    this.#passDone(planned.tensor);
    return this.#places.partOf(planned.tensor, planned.targets);
  }

  /** Another process has the tensor in hand. */
  tensorStarted(tensor: number): void {
    this.#start(tensor);
  }

  /** Another process has converted all that slabs convert of a tensor. */
  tensorConverted({ tensor, parts, errors }: TensorOutcome): void {
    this.#start(tensor);
    this.#errors.restore(tensor, errors);
    const progress = this.#tensors[tensor]!;
    const sizes = parts.flatMap(({ outputs }) =>
      outputs.map((output) => this.#places.find(output, tensor)!.size),
    );
    const elements = progress.inSlabs;
    progress.inSlabs = 0;
    this.#advance(
      tensor,
      elements,
      sizes.reduce((sum, size) => sum + size, 0),
    );
    this.#passDone(tensor);
  }

  /** Another process has rounded a tensor by its inputs, for all outputs that want that. */
  tensorRoundedElsewhere({ tensor, parts, errors }: TensorOutcome): void {
    this.#start(tensor);
    this.#errors.restore(tensor, errors);
    const { shape } = this.#plan.tensors[tensor]!;
    const elements = elementCount(shape);
    for (const { outputs } of parts) {
      const bytes = outputs.reduce((sum, output) => sum + this.#places.find(output, tensor)!.size, 0);
      this.#advance(tensor, elements, bytes, elements * roundingWork(shape.at(-1) ?? 1));
      this.#passDone(tensor);
    }
  }

  #start(tensor: number): void {
    if (this.#started.has(tensor)) return;
    this.#started.add(tensor);
    this.#emit({ type: "tensor:start", name: this.#plan.tensors[tensor]!.name, index: tensor });
  }

  #advance(tensor: number, elements: number, bytes: number, work = elements): void {
    const progress = this.#tensors[tensor]!;
    progress.done += elements;
    this.#done += work;
    this.#bytesWritten += bytes;
    this.#emit({
      type: "progress",
      tensor: this.#plan.tensors[tensor]!.name,
      tensorDone: progress.done,
      tensorTotal: progress.total,
      done: this.#done,
      total: this.#total,
      bytesWritten: this.#bytesWritten,
    });
  }

  #passDone(tensor: number): void {
    if (--this.#tensors[tensor]!.passes > 0) return;
    const errors = this.#errors.ofTensor(tensor);
    this.#emit({
      type: "tensor:done",
      name: this.#plan.tensors[tensor]!.name,
      index: tensor,
      finished: ++this.#finished,
      ...(errors.length === 0 ? {} : { errors }),
    });
  }
}

function passCount({ slabs, roundings }: TensorPasses): number {
  return (slabs ? 1 : 0) + roundings;
}

/** Conversions of a weight. */
function workOf({ slabs, roundings }: TensorPasses, columns: number): number {
  return (slabs ? 1 : 0) + roundings * roundingWork(columns);
}
