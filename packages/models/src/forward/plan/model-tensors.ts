import { QuernError } from "@quern/tensor";
import type { InputQuantization } from "../input-quantization.ts";
import type { LinearGraph, NormGraph, StackedLinearGraph } from "../graph.ts";

type InputQuantizations = ReadonlyMap<string, InputQuantization>;

/** The tensors of a model by GGUF name, and which of them the plan has found a use for. */
export class ModelTensors {
  readonly #shapes: ReadonlyMap<string, readonly number[]>;
  readonly #inputs: InputQuantizations;
  readonly #unused: Set<string>;

  /** @param shapes Row-major. */
  constructor(shapes: ReadonlyMap<string, readonly number[]>, inputs: InputQuantizations = new Map()) {
    this.#shapes = shapes;
    this.#inputs = inputs;
    this.#unused = new Set(shapes.keys());
  }

  /** Those of a block, or of what stands outside the blocks (prefix ""), whose names start with the prefix. */
  section(prefix: string): TensorSection {
    return new TensorSection({
      prefix,
      shapes: this.#shapes,
      inputs: this.#inputs,
      use: (name) => this.#unused.delete(name),
    });
  }

  /** Tensors that nothing has asked for. */
  get unused(): readonly string[] {
    return [...this.#unused];
  }
}

/** Tensors of a part of the model; remembers what was asked for. */
export class TensorSection {
  readonly #prefix: string;
  readonly #shapes: ReadonlyMap<string, readonly number[]>;
  readonly #inputs: InputQuantizations;
  readonly #use: (name: string) => void;
  readonly #used = new Set<string>();

  constructor(params: {
    prefix: string;
    shapes: ReadonlyMap<string, readonly number[]>;
    inputs: InputQuantizations;
    use: (name: string) => void;
  }) {
    this.#prefix = params.prefix;
    this.#shapes = params.shapes;
    this.#inputs = params.inputs;
    this.#use = params.use;
  }

  /** Names of the tensors that were asked for. */
  get used(): readonly string[] {
    return [...this.#used];
  }

  has(module: string): boolean {
    return this.#shapes.has(`${this.#prefix}${module}.weight`);
  }

  /** Full name of a module whose weight, or other part, is needed as it is. */
  module(module: string, part = "weight"): string {
    const name = this.#prefix + module;
    this.#take(`${name}.${part}`);
    return name;
  }

  /** Whether there is a tensor that is not named like a weight. */
  hasPart(module: string, part: string): boolean {
    return this.#shapes.has(`${this.#prefix}${module}.${part}`);
  }

  /** Row-major shape of a module's weight. */
  shape(module: string): readonly number[] {
    return this.#take(`${this.#prefix}${module}.weight`);
  }

  linear(module: string, expected: { inputs: number; outputs?: number }): LinearGraph {
    const shape = this.shape(module);
    const inputs = shape.at(-1)!;
    const outputs = shape.length === 1 ? 1 : shape.at(-2)!;
    const fits = shape.length <= 2 && inputs === expected.inputs;
    if (!fits || (expected.outputs ?? outputs) !== outputs) {
      throw this.#misfit(module, shape, `[${expected.outputs ?? "any"}, ${expected.inputs}]`);
    }
    return { inputs, outputs, ...this.#linear(module) };
  }

  stacked(
    module: string,
    expected: { matrices: number; inputs: number; outputs?: number },
  ): StackedLinearGraph {
    const shape = this.shape(module);
    const [matrices = 0, outputs = 0, inputs = 0] = shape;
    const fits = shape.length === 3 && matrices === expected.matrices && inputs === expected.inputs;
    if (!fits || (expected.outputs ?? outputs) !== outputs) {
      const { outputs: rows = "any" } = expected;
      throw this.#misfit(module, shape, `[${expected.matrices}, ${rows}, ${expected.inputs}]`);
    }
    return { matrices, inputs, outputs, ...this.#linear(module) };
  }

  /** @param params.weights Default: `size`. */
  norm(
    module: string,
    params: { kind: NormGraph["kind"]; epsilon: number; size: number; weights?: number },
  ): NormGraph {
    const { kind, epsilon, size, weights = size } = params;
    const shape = this.shape(module);
    if (shape.reduce((product, length) => product * length, 1) !== weights) {
      throw this.#misfit(module, shape, `${weights} weights`);
    }
    return { module: this.#prefix + module, kind, epsilon, size, weights, hasBias: this.#bias(module) };
  }

  #linear(module: string): Pick<LinearGraph, "module" | "hasBias" | "inputQuantization"> {
    const name = this.#prefix + module;
    const inputQuantization = this.#inputs.get(name);
    return { module: name, hasBias: this.#bias(module), ...(inputQuantization && { inputQuantization }) };
  }

  #bias(module: string): boolean {
    const has = this.hasPart(module, "bias");
    if (has) this.module(module, "bias");
    return has;
  }

  #take(name: string): readonly number[] {
    const shape = this.#shapes.get(name);
    if (shape === undefined) {
      throw new QuernError(
        "FORWARD_TENSOR_MISSING",
        `the model has no tensor "${name}", which the forward pass of its architecture needs`,
        { subject: { tensor: name } },
      );
    }
    this.#use(name);
    this.#used.add(name);
    return shape;
  }

  #misfit(module: string, shape: readonly number[], expected: string): QuernError {
    const tensor = `${this.#prefix}${module}.weight`;
    return new QuernError(
      "FORWARD_TENSOR_INVALID",
      `"${tensor}" has the shape [${shape.join(", ")}]: the forward pass expects ${expected}`,
      { subject: { tensor } },
    );
  }
}
