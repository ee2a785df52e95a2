import { elementCount } from "@quern/tensor";
import type { ModelTensor } from "@quern/models";
import type { ErrorFigures, TensorError } from "../errors.ts";
import type { PlannedBlockMatrix } from "../layers/block-plan.ts";
import type { RoundedTensor } from "../layers/running/rounded-tensors.ts";
import type { ConversionPlan, PlannedTensor } from "../plan.ts";
import { ErrorSums } from "./error-sums.ts";
import type { Slab, SlabConversion, SlabResult } from "./slab.ts";
import { weightType } from "./weight-type.ts";

interface Measured {
  readonly conversion: SlabConversion;
  readonly sums: ErrorSums;
}

/** Collects what conversions that are measured did to tensors: figures that do not depend on how the work was shared. */
export class ErrorTracker {
  readonly #plan: ConversionPlan;
  /** By tensor, then by conversion. */
  readonly #open = new Map<number, Map<number, Measured>>();
  /** By tensor. */
  readonly #rounded = new Map<number, readonly TensorError[]>();
  /** By output, then by the model's tensor. */
  readonly #done: readonly Map<string, TensorError>[];
  readonly #planned: readonly ReadonlyMap<string, PlannedTensor>[];
  /** Of each file among those of all outputs, the output. */
  readonly #outputs: readonly number[];

  constructor(plan: ConversionPlan) {
    this.#plan = plan;
    this.#done = plan.outputs.map(() => new Map());
    this.#planned = plan.outputs.map(
      ({ tensors }) => new Map(tensors.map((tensor) => [tensor.source, tensor])),
    );
    this.#outputs = plan.outputs.flatMap(({ files }, output) => files.map(() => output));
  }

  slabDone({ tensor, conversions }: Slab, result: Pick<SlabResult, "errors" | "outputs">): void {
    for (const { conversion: index, firstRow, errors } of result.errors) {
      const byConversion = this.#open.get(tensor) ?? new Map<number, Measured>();
      this.#open.set(tensor, byConversion);
      const conversion = conversions[index]!;
      const { sums } = byConversion.get(index) ?? {
        sums: new ErrorSums({ weighted: conversion.importance !== undefined }),
      };
      byConversion.set(index, { conversion, sums });
      sums.add(firstRow, errors);
    }
    for (const rows of result.outputs) this.#open.get(tensor)!.get(rows.conversion)!.sums.addOutputs(rows);
  }

  /** What became of a tensor that was rounded by its inputs, wherever it is in that type. */
  roundedDone(planned: PlannedBlockMatrix, { figures, rounding }: RoundedTensor): void {
    const model = this.#plan.tensors[planned.tensor]!;
    for (const { file } of planned.targets) {
      const output = this.#outputs[file]!;
      const error = { ...this.#describe(output, model), ...figures, rounding };
      this.#done[output]!.set(model.name, error);
      this.#rounded.set(planned.tensor, [...(this.#rounded.get(planned.tensor) ?? []), error]);
    }
  }

  /** All rows of a tensor have been measured. @returns what became of it in each output */
  tensorDone(tensor: number): TensorError[] {
    const errors: TensorError[] = [...(this.#rounded.get(tensor) ?? [])];
    this.#rounded.delete(tensor);
    const model = this.#plan.tensors[tensor]!;
    for (const { conversion, sums } of this.#open.get(tensor)?.values() ?? []) {
      for (const { file } of conversion.targets) {
        const output = this.#outputs[file]!;
        const error = { ...this.#describe(output, model), ...sums.figures() };
        this.#done[output]!.set(model.name, error);
        errors.push(error);
      }
    }
    this.#open.delete(tensor);
    return errors;
  }

  #describe(output: number, model: ModelTensor): Omit<TensorError, keyof ErrorFigures> {
    const { name, type: to, requantized } = this.#planned[output]!.get(model.name)!;
    const elements = elementCount(model.shape);
    return { output, name, from: weightType(model), to, requantized, elements };
  }

  /** All tensors of an output have been measured. @returns what became of them, in the order of the files */
  outputDone(output: number): TensorError[] {
    const done = this.#done[output]!;
    return [...this.#planned[output]!.keys()].flatMap((source) => done.get(source) ?? []);
  }
}
