import { elementCount } from "@quern/tensor";
import type { ConversionEvent } from "../events.ts";
import type { ConversionPlan } from "../plan.ts";
import type { RequantizationTracker } from "./requantization-tracker.ts";
import type { Slab, SlabResult } from "./slab.ts";

/** Turns the fate of slabs into events. */
export class ProgressTracker {
  readonly #plan: ConversionPlan;
  readonly #emit: (event: ConversionEvent) => void;
  readonly #requantization: RequantizationTracker;
  /** Elements that are written, by tensor. */
  readonly #written: number[] = [];
  #done = 0;
  #bytesWritten = 0;
  #finished = 0;

  constructor(params: {
    plan: ConversionPlan;
    emit: (event: ConversionEvent) => void;
    requantization: RequantizationTracker;
  }) {
    this.#plan = params.plan;
    this.#emit = params.emit;
    this.#requantization = params.requantization;
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

  slabDone(slab: Slab, { bytesWritten, errors }: SlabResult): void {
    const { tensor, name, rows, columns } = slab;
    this.#requantization.slabDone(slab, errors);
    const tensorDone = (this.#written[tensor] ?? 0) + rows * columns;
    const tensorTotal = elementCount(this.#plan.tensors[tensor]!.shape);
    this.#written[tensor] = tensorDone;
    this.#done += rows * columns;
    this.#bytesWritten += bytesWritten;
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
      const requantized = this.#requantization.tensorDone(tensor);
      this.#emit({
        type: "tensor:done",
        name,
        index: tensor,
        finished: ++this.#finished,
        ...(requantized.length === 0 ? {} : { requantized }),
      });
    }
  }
}
