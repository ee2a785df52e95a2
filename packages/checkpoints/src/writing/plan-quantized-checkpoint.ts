import { QuernError, type TensorInfo } from "@quern/tensor";
import { planSafetensorsShards, type SafetensorsShardPlan } from "safetensors-js";
import { layerTensors } from "../formats/layer.ts";
import { formatOf } from "../formats/registry.ts";
import { CONFIGURATIONS } from "./configurations.ts";
import { copiedFiles } from "./copied-files.ts";
import { type LayerStack, stackLayers } from "./stacked-layers.ts";
import type {
  JsonObject,
  PlannedLayer,
  QuantizationConfiguration,
  QuantizedModel,
} from "./quantized-model.ts";

/** What the bytes of a tensor are. */
export type TensorOrigin =
  /** Those of a tensor of the source. */
  | { readonly copy: string }
  /** Those of several tensors of the source, one after another. */
  | { readonly copies: readonly string[] }
  /** A part of a quantized layer. */
  | { readonly module: string; readonly suffix: string }
  /** The same part of several quantized layers, one after another. */
  | { readonly modules: readonly string[]; readonly suffix: string };

/** A folder of a quantized model, before any weight is read. */
export interface QuantizedCheckpointPlan {
  /** Where every tensor lies in which file. */
  readonly shards: SafetensorsShardPlan;
  /** By name of the tensor. */
  readonly origins: ReadonlyMap<string, TensorOrigin>;
  /** Files that are written whole, by path: config.json, the index and what the method wants. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** Files that are copied from the source. */
  readonly copies: readonly string[];
}

/** transformers' default (`save_pretrained`, `max_shard_size`). */
const SHARD_SIZE = 5e9;

/**
 * Lays out the folder of a quantized model: safetensors files with their index, config.json, and which files are copied.
 *
 * @param params.config config.json of the source.
 * @param params.tensors Tensors of the source as they are to be stored, in order; of quantized layers the weight before.
 * @param params.layers Which are quantized, and how. All of one `quant_method`.
 * @param params.stacks Layers that are stored as one. @default none
 * @param params.linears All linear layers, by module; those that are not quantized are named in config.json.
 * @param params.paths Files of the source.
 * @param params.quantizer Name and version of the program, as "name 1.2.3".
 * @param params.metadata Texts for every file of weights, beside the one that names the framework.
 * @param params.maxShardSize Most bytes of tensors in a file. @default 5e9
 * @throws QuernError `FORMAT_CANNOT_HOLD` for a layer that the format has no place for, or parameters that config.json cannot tell,
 * `FORMAT_READ_ONLY`, `FORMAT_UNKNOWN`, `TENSOR_MISSING` for a layer without a weight of two dimensions, and the codes of
 * `planSafetensorsShards`
 */
export function planQuantizedCheckpoint(params: {
  config: JsonObject;
  tensors: Iterable<TensorInfo>;
  layers: readonly PlannedLayer[];
  stacks?: readonly LayerStack[];
  linears: readonly string[];
  paths: readonly string[];
  quantizer: string;
  metadata?: ReadonlyMap<string, string>;
  maxShardSize?: number;
}): QuantizedCheckpointPlan {
  const { config, layers, stacks = [], linears, paths, quantizer, maxShardSize = SHARD_SIZE } = params;
  const configuration = configurationOf(layers);
  const quantized = new Set(layers.map(({ module }) => module));
  const given = [...params.tensors];
  const stacked = stackLayers({ tensors: given, layers, stacks });
  const model: QuantizedModel = {
    layers: stacked.layers,
    kept: linears.filter((module) => !quantized.has(module)),
    quantizer,
  };
  checkModel(configuration, model, [...linears, ...stacks.map(({ module }) => module)]);
  const tied = config["tie_word_embeddings"] === true;
  const members = new Map(stacks.map((stack) => [stack.module, stack.members]));
  const { tensors, origins, groups } = expandLayers({ ...stacked, members, tied });
  const parameters = given.reduce((total, { shape }) => total + count(shape), 0);
  const shards = planSafetensorsShards({
    tensors,
    metadata: { ...Object.fromEntries(params.metadata ?? []), format: configuration.framework },
    maxShardSize,
    together: (name) => groups.get(name),
    ...(configuration.framework === "mlx" ? { indexMetadata: { total_parameters: parameters } } : {}),
  });
  const files = new Map<string, Uint8Array>([
    ["config.json", jsonBytes(quantizedConfig(config, configuration.config(model)))],
  ]);
  for (const [path, content] of configuration.files?.(model) ?? []) files.set(path, jsonBytes(content));
  if (shards.index !== undefined) files.set(shards.index.fileName, shards.index.bytes);
  return { shards, origins, files, copies: copiedFiles(paths) };
}

function configurationOf(layers: readonly PlannedLayer[]): QuantizationConfiguration {
  const methods = new Set(layers.map(({ format }) => formatOf(format).method));
  const [method] = methods;
  if (methods.size !== 1) {
    const found = method === undefined ? "no layer is quantized" : `layers of ${[...methods].join(" and ")}`;
    throw new QuernError("FORMAT_CANNOT_HOLD", `${found}: expected layers of one method`);
  }
  const configuration = CONFIGURATIONS.find((known) => known.method === method);
  if (configuration !== undefined) return configuration;
  throw new QuernError("FORMAT_READ_ONLY", `checkpoints of the method ${method} can be read and not written`);
}

function checkModel(
  configuration: QuantizationConfiguration,
  model: QuantizedModel,
  linears: readonly string[],
): void {
  const known = new Set(linears);
  const embedding = model.layers.find(({ module }) => !known.has(module));
  const problems = [
    ...(embedding === undefined || configuration.embeddings
      ? []
      : [`"${embedding.module}" is no linear layer`]),
    ...configuration.problems(model),
  ];
  if (problems.length === 0) return;
  throw new QuernError("FORMAT_CANNOT_HOLD", `${configuration.method}: ${problems.join("; ")}`);
}

/** The tensors to be stored: in the place of the weight of a quantized layer stand its parts. */
function expandLayers(params: {
  tensors: readonly TensorInfo[];
  layers: readonly PlannedLayer[];
  /** Of stacks, by module. */
  members: ReadonlyMap<string, readonly string[]>;
  /** Of tensors of stacks, by name. */
  parts: ReadonlyMap<string, readonly string[]>;
  tied: boolean;
}): { tensors: TensorInfo[]; origins: Map<string, TensorOrigin>; groups: Map<string, string> } {
  const { layers, members, parts, tied } = params;
  const waiting = new Map(layers.map((layer) => [`${layer.module}.weight`, layer]));
  const tensors: TensorInfo[] = [];
  const origins = new Map<string, TensorOrigin>();
  const groups = new Map<string, string>();
  for (const info of params.tensors) {
    const layer = waiting.get(info.name);
    // Loaders tie it to the embedding, and some take a tensor of its own as an error.
    if (tied && info.name === "lm_head.weight" && layer === undefined) continue;
    if (layer === undefined) {
      const copies = parts.get(info.name);
      tensors.push(info);
      origins.set(info.name, copies === undefined ? { copy: info.name } : { copies });
      continue;
    }
    waiting.delete(info.name);
    const { module, format, parameters } = layer;
    const modules = members.get(module);
    const leading = modules === undefined ? [] : [modules.length];
    if (info.shape.length !== 2 + leading.length)
      throw withoutWeight(module, `has the shape [${info.shape.join(", ")}]`);
    if (tied && module === "lm_head") {
      throw new QuernError(
        "FORMAT_CANNOT_HOLD",
        '"lm_head" is tied to the embedding and cannot be quantized apart',
        {
          subject: { tensor: module },
        },
      );
    }
    const [rows, columns] = info.shape.slice(-2) as [number, number];
    for (const { name, suffix, type, shape } of layerTensors(
      formatOf(format),
      { rows, columns, parameters },
      module,
    )) {
      tensors.push({ name, type, shape: [...leading, ...shape] });
      origins.set(name, modules === undefined ? { module, suffix } : { modules, suffix });
      groups.set(name, module);
    }
  }
  const [missing] = waiting.values();
  if (missing !== undefined) throw withoutWeight(missing.module, "is not there");
  return { tensors, origins, groups };
}

function withoutWeight(module: string, problem: string): QuernError {
  return new QuernError("TENSOR_MISSING", `"${module}.weight" ${problem}: expected outputs x inputs`, {
    subject: { tensor: `${module}.weight` },
  });
}

/** The configuration of the source without a quantization that it had, and with the new one. */
function quantizedConfig(config: JsonObject, quantization: JsonObject): JsonObject {
  const { quantization: _mlx, quantization_config: _other, ...rest } = config;
  return { ...rest, ...quantization };
}

function count(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

function jsonBytes(value: JsonObject): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(value, undefined, 2)}\n`);
}
