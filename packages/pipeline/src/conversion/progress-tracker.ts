import { elementCount } from "@quern/tensor";
import type { ConversionEvent } from "../events.ts";
import type { ConversionPlan } from "../plan.ts";
import type { ErrorTracker } from "./error-tracker.ts";
import type { Slab, SlabResult } from "./slab.ts";

/** Turns the fate of slabs into events. */
export class ProgressTracker {
  readonly #plan: ConversionPlan;
  readonly #emit: (event: ConversionEvent) => void;
  readonly #errors: ErrorTracker;
  /** Elements that are written, by tensor. */
  readonly #written: number[] = [];
  #done = 0;
  #bytesWritten = 0;
  #finished = 0;

  constructor(params: {
    plan: ConversionPlan;
    emit: (event: ConversionEvent) => void;
    errors: ErrorTracker;
  }) {
    this.#plan = params.plan;
    this.#emit = params.emit;
    this.#errors = params.errors;
  }

  start(): void {
    this.#emit({
      type: "start",
      tensors: this.#plan.tensors.length,
      parameters: this.#plan.parameters,
      files: this.#plan.outputs.flatMap(({ files }) => files.map(({ path }) => path)),
    });
  }

  slabStarted({ tensor, name }: Slab): void {
    if (this.#written[tensor] !== undefined) return;
    this.#written[tensor] = 0;
    this.#emit({ type: "tensor:start", name, index: tensor });
  }

  slabDone(slab: Slab, result: SlabResult): void {
    const { tensor, name, rows, columns } = slab;
    this.#errors.slabDone(slab, result);
    const tensorDone = (this.#written[tensor] ?? 0) + rows * columns;
    const tensorTotal = elementCount(this.#plan.tensors[tensor]!.shape);
    this.#written[tensor] = tensorDone;
    this.#done += rows * columns;
    this.#bytesWritten += result.bytesWritten;
    this.#emit({
      type: "progress",
      tensor: name,
      tensorDone,
      tensorTotal,
      done: this.#done,
      total: this.#plan.parameters,
      bytesWritten: this.#bytesWritten,
    });
    if (tensorDone === tensorTotal) {
      const errors = this.#errors.tensorDone(tensor);
      this.#emit({
        type: "tensor:done",
        name,
        index: tensor,
        finished: ++this.#finished,
        ...(errors.length === 0 ? {} : { errors }),
      });
    }
  }
}
