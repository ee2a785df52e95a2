import type { TensorInfo } from "@quern/tensor";
import { values } from "../expressions/operations/values.ts";
import type { ModelModule, ModelTensor } from "../model.ts";
import type {
  Architecture,
  BlockContext,
  ExpertNames,
  ModelFacts,
  Module,
  TensorRecipe,
} from "./architecture.ts";
import { checkShapes } from "./check-shapes.ts";
import { CheckpointNames } from "./checkpoint-names.ts";
import { type PlacedTensor, placeTensor } from "./place-tensor.ts";
import { inFileOrder } from "./tensor-order.ts";

/** Most blocks that llama.cpp loads (llama-hparams.h, `LLAMA_MAX_LAYERS`). */
const LARGEST_BLOCK_COUNT = 512;

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
  const placed: PlacedTensor[] = [];
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
  const ordered = inFileOrder(placed, tensors);
  checkShapes({ modules, tensors: ordered, config: facts.config });
  return { tensors: [...generatedTensors(architecture, facts), ...ordered], modules };
}

function describeModule(params: {
  module: Module;
  context: BlockContext;
  names: CheckpointNames;
  tensors: ReadonlyMap<string, TensorInfo>;
}): { module: ModelModule; placed: PlacedTensor[] } | undefined {
  const { module, context, names, tensors } = params;
  const { role, hf, hasBias = "optional" } = module;
  const block = context.layer < 0 ? "" : `blk.${context.layer}.`;
  const placed: PlacedTensor[] = [];
  const add = (part: ".weight" | ".bias", recipes: readonly TensorRecipe[]): boolean => {
    const found = recipes
      .map((recipe) => ({ recipe, sources: names.find(recipe, context) }))
      .find(({ sources }) => sources.missing === undefined);
    if (found === undefined) return false;
    const { recipe, sources } = found;
    names.use(sources.names);
    placed.push(
      placeTensor({
        name: `${block}${module.name}${part}`,
        role,
        recipe,
        sources: sources.names,
        context,
        tensors,
      }),
    );
    return true;
  };

  const mayLack = module.optional?.(context.config) ?? false;
  const weight = module.weight ?? [{ from: [`${hf}.weight`] }];
  const bias = module.bias ?? [{ from: [`${hf}.bias`] }];
  if (weight.length > 0 && !add(".weight", weight)) {
    if (mayLack) return undefined;
    throw names.missing(weight, context, `${block}${module.name}.weight`);
  }
  if (hasBias !== "never" && !add(".bias", bias) && hasBias === "always") {
    throw names.missing(bias, context, `${block}${module.name}.bias`);
  }
  const described: ModelModule = {
    role,
    name: `${block}${module.name}`,
    hf: inLayer(hf, context),
    ...(context.layer < 0 ? {} : { layer: context.layer }),
    ...(module.input === undefined ? {} : { input: `${block}${module.input}` }),
    tensors: placed.map(({ tensor }) => tensor.name),
    sources: placed.flatMap(({ sources }) => sources),
    weights: placed.flatMap(({ tensor, sources }) => (tensor.name.endsWith(".weight") ? sources : [])),
    ...(module.experts && { experts: expertNames(module.experts, context) }),
  };
  return { module: described, placed };
}

function inLayer(name: string, { layer }: BlockContext): string {
  return name.replace("{layer}", String(layer));
}

function expertNames({ each, apart, stacked }: ExpertNames, context: BlockContext): ExpertNames {
  return { each: inLayer(each, context), apart, stacked: inLayer(stacked, context) };
}

function generatedTensors({ generated = [] }: Architecture, { config }: ModelFacts): ModelTensor[] {
  return generated.flatMap(({ name, values: compute }) => {
    const numbers = compute(config);
    if (numbers === undefined) return [];
    return [
      {
        name,
        role: "rope-factors",
        shape: [numbers.length],
        sourceType: "F32",
        expression: values(numbers),
        storage: "f32",
      },
    ] satisfies ModelTensor[];
  });
}
