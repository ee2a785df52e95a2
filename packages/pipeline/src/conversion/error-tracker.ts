import { elementCount } from "@quern/tensor";
import type { ErrorFigures, TensorError } from "../errors.ts";
import type { PlannedBlockMatrix } from "../layers/block-plan.ts";
import type { RoundedTensor } from "../layers/running/rounded-tensors.ts";
import type { ConversionPlan } from "../plan.ts";
import { ErrorSums } from "./error-sums.ts";
import type { Slab, SlabConversion, SlabResult } from "./slab.ts";
import type { TensorPlaces } from "./tensor-places.ts";
import { weightType } from "./weight-type.ts";

interface Measured {
  readonly conversion: SlabConversion;
  readonly sums: ErrorSums;
}

/** Collects what conversions that are measured did to tensors: figures that do not depend on how the work was shared. */
export class ErrorTracker {
  readonly #plan: ConversionPlan;
  readonly #places: TensorPlaces;
  /** By tensor, then by conversion. */
  readonly #open = new Map<number, Map<number, Measured>>();
  /** By tensor, in the order of the passes. */
  readonly #done = new Map<number, readonly TensorError[]>();

  constructor(plan: ConversionPlan, places: TensorPlaces) {
    this.#plan = plan;
    this.#places = places;
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

  /** All rows of a tensor have been converted in slabs. */
  slabsDone(tensor: number): void {
    for (const { conversion, sums } of this.#open.get(tensor)?.values() ?? []) {
      const figures = sums.figures();
      this.#add(
        tensor,
        conversion.targets.map(({ file }) => ({ ...this.#describe(file, tensor), ...figures })),
      );
    }
    this.#open.delete(tensor);
  }

  /** A tensor was rounded by its inputs, wherever it is in that type. */
  roundedDone({ tensor, targets }: PlannedBlockMatrix, { figures, rounding }: RoundedTensor): void {
    this.#add(
      tensor,
      targets.map(({ file }) => ({ ...this.#describe(file, tensor), ...figures, rounding })),
    );
  }

  /** What an earlier run has measured, or another process. */
  restore(tensor: number, errors: readonly TensorError[]): void {
    this.#add(tensor, errors);
  }

  /** What became of a tensor in each output, as far as that is done. */
  ofTensor(tensor: number): readonly TensorError[] {
    return this.#done.get(tensor) ?? [];
  }

  /** All tensors of an output have been measured. @returns what became of them, in the order of the files */
  outputDone(output: number): TensorError[] {
    const indices = new Map(this.#plan.tensors.map(({ name }, index) => [name, index]));
    return this.#plan.outputs[output]!.tensors.flatMap(({ source }) =>
      this.ofTensor(indices.get(source)!).filter((error) => error.output === output),
    );
  }

  #add(tensor: number, errors: readonly TensorError[]): void {
    this.#done.set(tensor, [...this.ofTensor(tensor), ...errors]);
  }

  #describe(file: number, tensor: number): Omit<TensorError, keyof ErrorFigures> {
    const output = this.#places.outputOf(file);
    const model = this.#plan.tensors[tensor]!;
    const { name, type: to, requantized } = this.#places.find(output, tensor)!;
    const elements = elementCount(model.shape);
    return { output, name, from: weightType(model), to, requantized, elements };
  }
}
