import { reshape } from "./expressions/operations/reshape.ts";
import { slice } from "./expressions/operations/slice.ts";
import { stack } from "./expressions/operations/stack.ts";
import { view } from "./expressions/operations/view.ts";
import { weightNames } from "./expressions/tensor-nodes.ts";
import type { ModelDescription, ModelModule, ModelTensor } from "./model.ts";
import type { PlainTensor } from "./plain-tensors.ts";

/** A checkpoint as a model and as tensors under their own names. */
export interface PlainModel {
  readonly description: ModelDescription;
  readonly tensors: ReadonlyMap<string, PlainTensor>;
}

/** Whether a checkpoint has the experts of a module in tensors of several matrices. */
export function hasMergedExperts(
  { weights }: Pick<ModelModule, "weights">,
  tensors: PlainModel["tensors"],
): boolean {
  return weights.some((name) => tensors.get(name)!.info.shape.length > 2);
}

/**
 * The model as if its checkpoint had a weight, and a bias, for each expert, where it has those of all experts in one tensor: outputs x
 * inputs, called `ModelModule.experts.each`, in the place of the tensors that they are part of.
 *
 * @param separates Whether those of a module become so.
 */
export function separateExperts(
  { description, tensors }: PlainModel,
  separates: (module: ModelModule) => boolean,
): PlainModel {
  const described = new Map(description.tensors.map((tensor) => [tensor.name, tensor]));
  /** By the first of the tensors that they are made from. */
  const places = new Map<string, Map<string, PlainTensor>>();
  const replaced = new Set<string>();
  const stacks = new Map<string, ModelTensor>();
  const modules = description.modules.map((module): ModelModule => {
    const { experts } = module;
    if (experts === undefined || !hasMergedExperts(module, tensors) || !separates(module)) return module;
    const names = module.tensors.map((name) => {
      const tensor = described.get(name)!;
      const suffix = name.slice(module.name.length);
      const parts = expertParts(tensor, (index) => experts.each.replace("{index}", String(index)) + suffix);
      const sources = weightNames(tensor.expression);
      const quantized = sources.some((source) => tensors.get(source)!.quantized);
      const [place] = sources as [string];
      const here = places.get(place) ?? new Map<string, PlainTensor>();
      for (const part of parts) here.set(part.info.name, { ...part, quantized });
      places.set(place, here);
      for (const source of sources) replaced.add(source);
      stacks.set(name, { ...tensor, expression: stack(parts.map(({ expression }) => expression)) });
      return { suffix, names: parts.map(({ info }) => info.name) };
    });
    return {
      ...module,
      sources: names.flatMap((part) => part.names),
      weights: names.flatMap((part) => (part.suffix === ".weight" ? part.names : [])),
    };
  });
  if (stacks.size === 0) return { description, tensors };
  return {
    description: {
      ...description,
      tensors: description.tensors.map((tensor) => stacks.get(tensor.name) ?? tensor),
      modules,
    },
    tensors: new Map(
      [...tensors].flatMap(([name, tensor]): [string, PlainTensor][] => [
        ...(replaced.has(name) ? [] : [[name, tensor] as [string, PlainTensor]]),
        ...(places.get(name) ?? []),
      ]),
    ),
  };
}

/** The parts of a tensor along its first axis. */
function expertParts(
  { expression, shape: [count = 0, ...shape], sourceType }: ModelTensor,
  nameOf: (index: number) => string,
): Omit<PlainTensor, "quantized">[] {
  return Array.from({ length: count }, (_, index) => {
    const name = nameOf(index);
    const own = reshape(slice(expression, { axis: 0, start: index, stop: index + 1 }), shape);
    return { info: { name, type: sourceType, shape }, expression: view(name, own) };
  });
}
