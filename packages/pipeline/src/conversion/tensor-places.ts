import type { ConversionPlan, PlannedTensor } from "../plan.ts";
import type { ChecksumTask } from "./task.ts";

/** A tensor of the plan in those outputs that get the same bytes of it. */
export interface TensorPart {
  /** Position of the tensor among those of the plan. */
  readonly tensor: number;
  /** Positions of outputs; at least one. */
  readonly outputs: readonly number[];
}

/** A tensor of an output. */
export interface TensorPlace extends Omit<PlannedTensor, "file"> {
  /** Position of its file among those of all outputs. */
  readonly file: number;
}

/** Where the tensors of a plan go, in all outputs. */
export class TensorPlaces {
  readonly #names: readonly string[];
  /** By output, then by the name of the model's tensor. */
  readonly #places: readonly ReadonlyMap<string, TensorPlace>[];
  /** Of each file among those of all outputs, the output. */
  readonly #outputs: readonly number[];

  constructor({ tensors, outputs }: Pick<ConversionPlan, "tensors" | "outputs">) {
    this.#names = tensors.map(({ name }) => name);
    let firstFile = 0;
    this.#places = outputs.map(({ tensors: planned, files }) => {
      const first = firstFile;
      firstFile += files.length;
      return new Map(planned.map((tensor) => [tensor.source, { ...tensor, file: first + tensor.file }]));
    });
    this.#outputs = outputs.flatMap(({ files }, output) => files.map(() => output));
  }

  /** The tensor with that position in the plan, in an output; undefined where it is left out. */
  find(output: number, tensor: number): TensorPlace | undefined {
    return this.#places[output]!.get(this.#names[tensor]!);
  }

  /** The place of a tensor with that name in the model. */
  findByName(output: number, name: string): TensorPlace | undefined {
    return this.#places[output]?.get(name);
  }

  /** The output that a file belongs to. */
  outputOf(file: number): number {
    return this.#outputs[file]!;
  }

  /** The outputs that some places are in. */
  partOf(tensor: number, targets: readonly { readonly file: number }[]): TensorPart {
    return { tensor, outputs: targets.map(({ file }) => this.outputOf(file)) };
  }

  /** What is to be looked at of a part: that it is the same in all of its outputs makes one of them enough. */
  checksumTask(part: TensorPart): ChecksumTask {
    const { file, offset, size } = this.find(part.outputs[0]!, part.tensor)!;
    return { kind: "checksum", part, file, offset, size };
  }
}
