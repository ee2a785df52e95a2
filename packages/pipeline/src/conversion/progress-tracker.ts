import { elementCount } from "@quern/tensor";
import type { ConversionEvent } from "../events.ts";
import type { ConversionPlan } from "../plan.ts";
import type { Slab } from "./slab.ts";

/** Turns the fate of slabs into events. */
export class ProgressTracker {
  readonly #plan: ConversionPlan;
  readonly #emit: (event: ConversionEvent) => void;
  /** Elements that are written, by tensor. */
  readonly #written: number[] = [];
  #done = 0;
  #bytesWritten = 0;
  #finished = 0;

  constructor(plan: ConversionPlan, emit: (event: ConversionEvent) => void) {
    this.#plan = plan;
    this.#emit = emit;
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

  slabDone({ tensor, name, rows, columns }: Slab, bytesWritten: number): void {
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
      this.#emit({ type: "tensor:done", name, index: tensor, finished: ++this.#finished });
    }
  }
}
