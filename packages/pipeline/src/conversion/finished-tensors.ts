import type { ConvertedTensor } from "../events.ts";
import type { ConversionPlan } from "../plan.ts";
import type { TensorPart } from "./tensor-places.ts";

/** Tensors that are complete in files of a plan, and what they hold. */
export class FinishedTensors {
  readonly #plan: Pick<ConversionPlan, "tensors" | "outputs">;
  /** By output, then by the name of the model's tensor: CRC-32. */
  readonly #checksums: readonly Map<string, string>[];

  constructor(plan: Pick<ConversionPlan, "tensors" | "outputs">) {
    this.#plan = plan;
    this.#checksums = plan.outputs.map(() => new Map());
  }

  add({ tensor, outputs }: TensorPart, crc32: string): void {
    const { name } = this.#plan.tensors[tensor]!;
    for (const output of outputs) this.#checksums[output]!.set(name, crc32);
  }

  /** How many tensors of outputs there are. */
  get count(): number {
    return this.#checksums.reduce((sum, ofOutput) => sum + ofOutput.size, 0);
  }

  /** Whether an output has a tensor of the model. @param tensor Its name in the model. */
  has(output: number, tensor: string): boolean {
    return this.#checksums[output]!.has(tensor);
  }

  /** All tensors of an output, once they are complete, in the order of the files. */
  ofOutput(output: number): ConvertedTensor[] {
    return this.#plan.outputs[output]!.tensors.map(({ source, name, type, file, size: bytes }) => {
      return { name, type, file, bytes, crc32: this.#checksums[output]!.get(source)! };
    });
  }
}
