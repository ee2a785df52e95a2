import { QuernError, type TensorInfo } from "@quern/tensor";
import { formatOf } from "../formats/registry.ts";
import { canonicalJson, type PlannedLayer } from "./quantized-model.ts";

/** Layers that are stored as one, whose tensors have a first axis for them: the experts of a block in MLX. */
export interface LayerStack {
  readonly module: string;
  /** Modules, one after another. */
  readonly members: readonly string[];
}

/** Tensors and layers in which stacks stand for their members. */
interface StackedLayers {
  readonly tensors: readonly TensorInfo[];
  readonly layers: readonly PlannedLayer[];
  /** Of tensors of stacks, by name: those of the members. */
  readonly parts: ReadonlyMap<string, readonly string[]>;
}

/**
 * Puts stacks into the places of what they are made of.
 *
 * @throws QuernError `FORMAT_CANNOT_HOLD` for members that are not alike, or a format without stacks
 */
export function stackLayers(params: {
  readonly tensors: readonly TensorInfo[];
  readonly layers: readonly PlannedLayer[];
  readonly stacks: readonly LayerStack[];
}): StackedLayers {
  const { stacks } = params;
  const stackOf = new Map(stacks.flatMap((stack) => stack.members.map((member) => [member, stack] as const)));
  const known = new Map(params.tensors.map((tensor) => [tensor.name, tensor]));
  const parts = new Map<string, readonly string[]>();
  const tensors = params.tensors.flatMap((info): TensorInfo[] => {
    const [, module = "", suffix = ""] = MODULE.exec(info.name) ?? [];
    const stack = stackOf.get(module);
    if (stack === undefined) return [info];
    const name = stack.module + suffix;
    if (parts.has(name)) return [];
    const own = stack.members.map((member) => member + suffix);
    const other = own.find((part) => !isAlike(known.get(part), info));
    if (other !== undefined) throw unlike(stack, `"${other}" is not like "${info.name}"`);
    parts.set(name, own);
    return [{ name, type: info.type, shape: [own.length, ...info.shape] }];
  });
  return { tensors, layers: stackedLayers(params.layers, stackOf), parts };
}

/** Module and what follows its name. */
const MODULE = /^(.*)(\.[^.]*)$/s;

function isAlike(tensor: TensorInfo | undefined, { type, shape }: TensorInfo): boolean {
  return tensor?.type === type && tensor.shape.join() === shape.join();
}

function stackedLayers(
  layers: readonly PlannedLayer[],
  stackOf: ReadonlyMap<string, LayerStack>,
): PlannedLayer[] {
  const quantized = new Map(layers.map((layer) => [layer.module, layer]));
  const done = new Set<LayerStack>();
  return layers.flatMap((layer): PlannedLayer[] => {
    const stack = stackOf.get(layer.module);
    if (stack === undefined) return [layer];
    if (done.has(stack)) return [];
    done.add(stack);
    if (formatOf(layer.format).experts !== "stacked") {
      throw unlike(stack, `${layer.format} has no place for several layers in one`);
    }
    const other = stack.members.find((member) => !isTreatedAs(quantized.get(member), layer));
    if (other !== undefined) {
      throw unlike(stack, `"${other}" is quantized otherwise than "${layer.module}", or not at all`);
    }
    return [{ ...layer, module: stack.module }];
  });
}

function isTreatedAs(layer: PlannedLayer | undefined, { format, parameters }: PlannedLayer): boolean {
  return layer?.format === format && canonicalJson(layer.parameters) === canonicalJson(parameters);
}

function unlike({ module }: LayerStack, problem: string): QuernError {
  return new QuernError(
    "FORMAT_CANNOT_HOLD",
    `"${module}" is stored as one layer for all experts of a block, which have to be alike: ${problem}`,
    { subject: { tensor: module } },
  );
}
