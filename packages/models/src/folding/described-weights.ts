import { ELEMENT_TYPES, type TensorInfo } from "@quern/tensor";
import { expressionSources, expressionType } from "../expressions/evaluate.ts";
import { tensorNodes } from "../expressions/tensor-nodes.ts";
import type { ModelDescription, ModelTensor } from "../model.ts";
import { type RowOrigins, rowOrigins } from "./row-origins.ts";

/** What has to be known of a model. */
export type FoldableModel = Pick<ModelDescription, "architecture" | "tensors" | "modules" | "computation">;

/** What a model is made of, as far as factors are concerned. */
export class DescribedWeights {
  /** Output tensors by GGUF name. */
  readonly tensors: ReadonlyMap<string, ModelTensor>;
  readonly #infos: ReadonlyMap<string, TensorInfo>;
  /** GGUF names of the modules that read the output of each, by the record of the architecture. */
  readonly #readers = new Map<string, string[]>();
  /** GGUF names of the tensors that are made from each tensor of the checkpoint. */
  readonly #users = new Map<string, string[]>();
  /** Of the tensors that belong together: those of a block. */
  readonly #origins = new Map<string, RowOrigins>();
  readonly #used = new Map<string, Uint8Array>();

  constructor(params: {
    readonly description: FoldableModel;
    readonly tensors: ReadonlyMap<string, TensorInfo>;
  }) {
    const { tensors, modules } = params.description;
    this.tensors = new Map(tensors.map((tensor) => [tensor.name, tensor]));
    const infos = new Map(params.tensors);
    this.#infos = infos;
    const info = (part: string): TensorInfo => params.tensors.get(part)!;
    for (const { name, input } of modules) if (input !== undefined) append(this.#readers, input, name);
    for (const { name, expression } of tensors) {
      for (const [source, node] of tensorNodes(expression)) {
        append(this.#users, source, name);
        // Where what is stored of a quantized layer is given, what its weight is follows from that.
        const isStored = expressionSources(node).every((part) => params.tensors.has(part));
        if (isStored) infos.set(source, { name: source, ...expressionType(node, { info }) });
      }
    }
  }

  /** A matrix of the checkpoint that the description leaves out: of heads that predict further tokens, poolers, parts that see. */
  unusedMatrix(): string | undefined {
    const used = new Set(
      [...this.tensors.values()].flatMap(({ expression }) => [
        ...tensorNodes(expression).keys(),
        ...expressionSources(expression),
      ]),
    );
    const matrices = [...this.#infos.values()].filter(
      ({ type, shape }) => shape.length > 1 && ELEMENT_TYPES[type].kind === "float",
    );
    return matrices.find(({ name }) => !used.has(name))?.name;
  }

  readersOf(module: string): readonly string[] {
    return this.#readers.get(module) ?? [];
  }

  usersOf(source: string): readonly string[] {
    return this.#users.get(source) ?? [];
  }

  /** Makes room: what has been found out of the tensors so far is not needed any more. */
  forget(): void {
    this.#origins.clear();
    this.#used.clear();
  }

  /** 1 for each row of a tensor of the checkpoint that goes into an output tensor. */
  usedRows(user: string, source: string): Uint8Array {
    const key = JSON.stringify([user, source]);
    const known = this.#used.get(key);
    if (known !== undefined) return known;
    const origins = this.origins(user);
    const { shape } = origins.tensors.find(({ name }) => name === source)!;
    const used = new Uint8Array(shape.slice(0, -1).reduce((all, size) => all * size, 1));
    for (const label of origins.rows) {
      const { tensor, row } = origins.tensorOf(label);
      if (tensor.name !== source) continue;
      if (tensor.transposed) used.fill(1);
      else used[row] = 1;
    }
    this.#used.set(key, used);
    return used;
  }

  /** @param elements As in `rowOrigins`. */
  origins(name: string, elements = false): RowOrigins {
    const key = `${name} ${elements}`;
    let origins = this.#origins.get(key);
    if (origins === undefined) {
      origins = rowOrigins(this.tensors.get(name)!.expression, {
        info: (source) => this.#infos.get(source)!,
        elements,
      });
      this.#origins.set(key, origins);
    }
    return origins;
  }
}

function append(lists: Map<string, string[]>, key: string, value: string): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}
