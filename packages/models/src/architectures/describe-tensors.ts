import { QuernError, type TensorInfo } from "@quern/tensor";
import { expressionType } from "../expressions/evaluate.ts";
import type { ExpressionType, TensorExpression } from "../expressions/expression.ts";
import { source } from "../expressions/operations/source.ts";
import { toFloat32 } from "../expressions/operations/to-float32.ts";
import { values } from "../expressions/operations/values.ts";
import type { ModelModule, ModelTensor, StoragePolicy } from "../model.ts";
import type { Architecture, BlockContext, ModelFacts, Module, SourceTensor, TensorRecipe } from "./architecture.ts";
import { checkShapes } from "./check-shapes.ts";
import { CheckpointNames } from "./checkpoint-names.ts";
import { UNQUANTIZED_ROLES } from "./module-role.ts";

/** Most blocks that llama.cpp loads (llama-hparams.h, `LLAMA_MAX_LAYERS`). */
const LARGEST_BLOCK_COUNT = 512;

/** Element types that kernels read; all others become F32 first, as in llama.cpp's converter. */
const PLAIN_TYPES: ReadonlySet<string> = new Set(["F32", "F16", "BF16"]);

/** An output tensor and what its place in the file depends on. */
interface Placed {
  readonly tensor: ModelTensor;
  /** Tensors of the checkpoint that it is made from. */
  readonly sources: readonly string[];
  readonly packed: boolean;
  /** Tensors of one group stand together. */
  readonly group?: string;
}

/** The output tensors and the modules that they belong to. */
export interface DescribedTensors {
  /** In the order in which llama.cpp's converter writes them. */
  readonly tensors: readonly ModelTensor[];
  readonly modules: readonly ModelModule[];
}

/**
 * Finds the tensors of every module in the checkpoint and says how the output tensors are made from them.
 *
 * @throws QuernError `MODEL_TENSOR_MISSING` when the checkpoint lacks one that the architecture needs, `MODEL_TENSOR_UNKNOWN`
 * when it has one that the architecture has no use for, `MODEL_TENSOR_INVALID` when a shape or type does not fit
 */
export function describeTensors(params: {
  architecture: Architecture;
  facts: ModelFacts;
  tensors: ReadonlyMap<string, TensorInfo>;
}): DescribedTensors {
  const { architecture, facts, tensors } = params;
  const blocks = facts.config.count({ keys: ["num_hidden_layers", "n_layer"], limit: LARGEST_BLOCK_COUNT });
  const names = new CheckpointNames({ architecture, blocks, tensors });
  const modules: ModelModule[] = [];
  const placed: Placed[] = [];
  const describe = (module: Module, layer: number): void => {
    if (module.when !== undefined && !module.when(facts.config, layer)) return;
    const described = describeModule({ module, context: { ...facts, layer }, names, tensors });
    if (described === undefined) return;
    modules.push(described.module);
    placed.push(...described.placed);
  };
  for (const module of architecture.model) describe(module, -1);
  for (let layer = 0; layer < blocks; layer++) {
    for (const module of architecture.block) describe(module, layer);
  }
  names.checkAllUsed();
  const ordered = inOrder(placed, tensors);
  checkShapes({ modules, tensors: ordered, config: facts.config });
  return { tensors: [...generatedTensors(architecture, facts), ...ordered], modules };
}

function describeModule(params: {
  module: Module;
  context: BlockContext;
  names: CheckpointNames;
  tensors: ReadonlyMap<string, TensorInfo>;
}): { module: ModelModule; placed: Placed[] } | undefined {
  const { module, context, names, tensors } = params;
  const { role, hf, hasBias = "optional" } = module;
  const block = context.layer < 0 ? "" : `blk.${context.layer}.`;
  const placed: Placed[] = [];
  const add = (part: ".weight" | ".bias", recipes: readonly TensorRecipe[]): boolean => {
    const found = recipes
      .map((recipe) => ({ recipe, sources: names.find(recipe, context) }))
      .find(({ sources }) => sources.missing === undefined);
    if (found === undefined) return false;
    const { recipe, sources } = found;
    names.use(sources.names);
    placed.push(
      placeTensor({ name: `${block}${module.name}${part}`, role, recipe, sources: sources.names, context, tensors }),
    );
    return true;
  };

  const weight = module.weight ?? [{ from: [`${hf}.weight`] }];
  const bias = module.bias ?? [{ from: [`${hf}.bias`] }];
  if (weight.length > 0 && !add(".weight", weight)) {
    if (module.optional?.(context.config)) return undefined;
    throw names.missing(weight, context, `${block}${module.name}.weight`);
  }
  if (hasBias !== "never" && !add(".bias", bias) && hasBias === "always") {
    throw names.missing(bias, context, `${block}${module.name}.bias`);
  }
  const described: ModelModule = {
    role,
    name: `${block}${module.name}`,
    hf: hf.replace("{layer}", String(context.layer)),
    ...(context.layer < 0 ? {} : { layer: context.layer }),
    ...(module.input === undefined ? {} : { input: `${block}${module.input}` }),
    tensors: placed.map(({ tensor }) => tensor.name),
  };
  return { module: described, placed };
}

function placeTensor(params: {
  name: string;
  role: Module["role"];
  recipe: TensorRecipe;
  sources: readonly string[];
  context: BlockContext;
  tensors: ReadonlyMap<string, TensorInfo>;
}): Placed {
  const { name, role, recipe, sources, context, tensors } = params;
  const { make = ([only]: readonly SourceTensor[]) => only!.expression, packed, together } = recipe;
  const { expression, type } = typed(name, sources, () => {
    const inputs = sources.map((sourceName) => sourceTensor(tensors.get(sourceName)!, packed !== undefined));
    const made = make(inputs, context);
    return { expression: made, type: expressionType(made, { info: (sourceName) => tensors.get(sourceName)! }) };
  });
  const columns = type.shape.at(-1) ?? 1;
  const shape =
    packed === undefined ? type.shape : type.shape.with(-1, (columns / packed.blockBytes) * packed.blockSize);
  const unquantized = name.endsWith(".bias") || shape.length <= 1 || UNQUANTIZED_ROLES.has(role);
  const storage: StoragePolicy = packed === undefined ? (unquantized ? "f32" : "follow") : { packed: packed.type };
  return {
    tensor: { name, role, shape, sourceType: type.type, expression, storage },
    sources,
    packed: packed !== undefined,
    ...(together === undefined ? {} : { group: `${context.layer} ${together}` }),
  };
}

/** Adds the names of the tensors to what goes wrong. */
function typed(
  name: string,
  sources: readonly string[],
  make: () => { expression: TensorExpression; type: ExpressionType },
): { expression: TensorExpression; type: ExpressionType } {
  try {
    return make();
  } catch (cause) {
    if (!(cause instanceof QuernError)) throw cause;
    throw new QuernError(
      "MODEL_TENSOR_INVALID",
      `"${name}" cannot be made from ${sources.length > 1 ? `${sources.length} tensors beginning with ` : ""}"${sources[0]}": ${cause.message}`,
      { subject: { tensor: sources[0]! }, cause },
    );
  }
}

function sourceTensor({ name, type, shape }: TensorInfo, packed: boolean): SourceTensor {
  const plain = packed || PLAIN_TYPES.has(type);
  return { expression: plain ? source(name) : toFloat32(source(name)), shape };
}

function generatedTensors({ generated = [] }: Architecture, { config }: ModelFacts): ModelTensor[] {
  return generated.flatMap(({ name, values: compute }) => {
    const numbers = compute(config);
    if (numbers === undefined) return [];
    return [
      { name, role: "rope-factors", shape: [numbers.length], sourceType: "F32", expression: values(numbers), storage: "f32" },
    ] satisfies ModelTensor[];
  });
}

/** Blocks that need no conversion first, then by the place in the checkpoint of the last tensor that goes in. */
function inOrder(placed: readonly Placed[], tensors: ReadonlyMap<string, TensorInfo>): ModelTensor[] {
  const positions = new Map([...tensors.keys()].map((name, index) => [name, index]));
  const own = placed.map(({ sources }) => Math.max(...sources.map((name) => positions.get(name)!)));
  const groups = new Map<string, number>();
  for (const [index, { group }] of placed.entries()) {
    if (group !== undefined) groups.set(group, Math.max(groups.get(group) ?? 0, own[index]!));
  }
  return placed
    .map(({ tensor, packed, group }, index) => ({
      tensor,
      packed,
      position: group === undefined ? own[index]! : groups.get(group)!,
    }))
    .sort((a, b) => Number(b.packed) - Number(a.packed) || a.position - b.position)
    .map(({ tensor }) => tensor);
}
