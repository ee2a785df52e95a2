import type { RowErrors } from "@quern/kernels";
import { elementCount } from "@quern/tensor";
import type { Requantization, RequantizedTensor } from "../events.ts";
import type { ConversionPlan, PlannedTensor } from "../plan.ts";
import type { Slab, SlabConversion } from "./slab.ts";
import { weightType } from "./weight-type.ts";

interface Sums {
  readonly errors: number;
  readonly weights: number;
}

/** Rows of a tensor in one conversion, as far as they are measured. */
interface RowSums extends RowErrors {
  readonly conversion: SlabConversion;
}

/**
 * Adds up what quantizing again does to tensors: rows in their order, then tensors in theirs, so that the sums depend neither on
 * how rows are shared among slabs nor on which is done first.
 */
export class RequantizationTracker {
  readonly #plan: ConversionPlan;
  /** By tensor, then by conversion. */
  readonly #rows = new Map<number, Map<number, RowSums>>();
  /** By output, then by the model's tensor. */
  readonly #sums: readonly Map<string, Sums>[];
  readonly #planned: readonly ReadonlyMap<string, PlannedTensor>[];
  readonly #types: ReadonlyMap<string, string>;
  /** Of each file among those of all outputs, the output. */
  readonly #outputs: readonly number[];

  constructor(plan: ConversionPlan) {
    this.#plan = plan;
    this.#sums = plan.outputs.map(() => new Map());
    this.#planned = plan.outputs.map(
      ({ tensors }) => new Map(tensors.map((tensor) => [tensor.source, tensor])),
    );
    this.#outputs = plan.outputs.flatMap(({ files }, output) => files.map(() => output));
    this.#types = new Map(plan.tensors.map((tensor) => [tensor.name, weightType(tensor)]));
  }

  slabDone({ tensor, columns, firstRow, conversions }: Slab, errors: ReadonlyMap<number, RowErrors>): void {
    for (const [index, { squaredErrors, squaredWeights }] of errors) {
      const byConversion = this.#rows.get(tensor) ?? new Map<number, RowSums>();
      this.#rows.set(tensor, byConversion);
      let rows = byConversion.get(index);
      if (rows === undefined) {
        const count = elementCount(this.#plan.tensors[tensor]!.shape) / columns;
        rows = {
          conversion: conversions[index]!,
          squaredErrors: new Float64Array(count),
          squaredWeights: new Float64Array(count),
        };
        byConversion.set(index, rows);
      }
      rows.squaredErrors.set(squaredErrors, firstRow);
      rows.squaredWeights.set(squaredWeights, firstRow);
    }
  }

  /** All rows of a tensor have been measured. */
  tensorDone(tensor: number): RequantizedTensor[] {
    const { name } = this.#plan.tensors[tensor]!;
    const measured = this.#rows.get(tensor)?.values() ?? [];
    this.#rows.delete(tensor);
    const requantized: RequantizedTensor[] = [];
    for (const { conversion, squaredErrors, squaredWeights } of measured) {
      const sums = { errors: sumOf(squaredErrors), weights: sumOf(squaredWeights) };
      for (const { file } of conversion.targets) {
        const output = this.#outputs[file]!;
        this.#sums[output]!.set(name, sums);
        requantized.push(this.#describe(output, name, sums));
      }
    }
    return requantized;
  }

  /** All tensors of an output have been measured. */
  outputDone(output: number): Requantization | undefined {
    const sums = this.#sums[output]!;
    if (sums.size === 0) return undefined;
    const sources = [...this.#planned[output]!.keys()].filter((name) => sums.has(name));
    const total = {
      errors: sumOf(sources.map((name) => sums.get(name)!.errors)),
      weights: sumOf(sources.map((name) => sums.get(name)!.weights)),
    };
    return {
      tensors: sources.map((name) => this.#describe(output, name, sums.get(name)!)),
      relativeError: relativeError(total),
    };
  }

  #describe(output: number, source: string, sums: Sums): RequantizedTensor {
    const { name, type: to } = this.#planned[output]!.get(source)!;
    return { output, name, from: this.#types.get(source)!, to, relativeError: relativeError(sums) };
  }
}

function sumOf(numbers: Iterable<number>): number {
  let sum = 0;
  for (const number of numbers) sum += number;
  return sum;
}

/** Zeros that stay zeros have no error. */
function relativeError({ errors, weights }: Sums): number {
  return errors === 0 ? 0 : Math.sqrt(errors / weights);
}
