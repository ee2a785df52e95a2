import type { ParameterSource, RunnableModel } from "@quern/inference";
import type { Parameter, ParameterSet } from "@quern/models";
import { QuernError } from "@quern/tensor";
import type { Stage } from "../stage.ts";

/** Weights of a block in memory, as they are by now and, where they are kept, as they were. */
export class BlockWeights {
  readonly #stage: Stage;
  readonly #model: RunnableModel;
  readonly #source: ParameterSource;
  /** What both runs have of the block until it is replaced. */
  readonly #original: ParameterSet;
  readonly #current: Map<string, Parameter>;
  readonly #keepsOriginal: boolean;

  private constructor(params: {
    stage: Stage;
    model: RunnableModel;
    source: ParameterSource;
    original: ParameterSet;
    keepsOriginal: boolean;
  }) {
    this.#stage = params.stage;
    this.#model = params.model;
    this.#source = params.source;
    this.#original = params.original;
    this.#current = new Map(params.original);
    this.#keepsOriginal = params.keepsOriginal;
  }

  static async load(params: {
    readonly stage: Stage;
    readonly model: RunnableModel;
    readonly source: ParameterSource;
    /** Whether the model as it was is run, too. */
    readonly keepsOriginal: boolean;
  }): Promise<BlockWeights> {
    return new BlockWeights({ ...params, original: await params.source.load(params.stage.tensors) });
  }

  get current(): ParameterSet {
    return this.#current;
  }

  /** Only where it is kept. */
  get original(): ParameterSet {
    return this.#original;
  }

  /** @throws QuernError `CALIBRATION_TENSOR` for what is no tensor of this block, and for another number of elements */
  check(tensor: string, values: Float32Array): void {
    const { place, tensors, inputs } = this.#stage;
    const modules = inputs.flatMap((input) => input.modules);
    const isOfLayer = modules.includes(tensor.replace(/\.(weight|bias)$/, ""));
    const shape = this.#model.tensors.get(tensor)?.shape;
    if (shape === undefined || !(tensors.includes(tensor) || isOfLayer)) {
      throw tensorError(tensor, `it is no tensor of ${place}, which is being quantized`);
    }
    if (this.#keepsOriginal && !isOfLayer) {
      throw tensorError(
        tensor,
        "only layers may change while inputs are compared with those of the model as it was",
      );
    }
    const elements = shape.reduce((product, size) => product * size, 1);
    if (values.length !== elements)
      throw tensorError(tensor, `${values.length} values: expected ${elements}`);
  }

  /** @param values As many as `check` has found. */
  replace(tensor: string, values: Float32Array): void {
    const { shape } = this.#model.tensors.get(tensor)!;
    const old = this.#current.get(tensor);
    // The layer that makes logits changes nothing that is run here.
    if (old === undefined) return;
    this.#current.set(tensor, this.#source.share({ values, shape }));
    if (!this.#keepsOriginal || this.#original.get(tensor) !== old) {
      this.#source.release(new Map([[tensor, old]]));
    }
  }

  /** Gives the memory to others. */
  release(): void {
    this.#source.release(this.#current);
    if (!this.#keepsOriginal) return;
    const replaced = [...this.#original].filter(([name, old]) => this.#current.get(name) !== old);
    this.#source.release(new Map(replaced));
  }
}

function tensorError(tensor: string, problem: string): QuernError {
  return new QuernError("CALIBRATION_TENSOR", `"${tensor}": ${problem}`, { subject: { tensor } });
}
