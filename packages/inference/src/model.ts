import type { Checkpoint, CheckpointShard, CheckpointTensor, GgufModel } from "@quern/checkpoints";
import {
  describeSource,
  forwardModel,
  type ForwardGraph,
  type InputQuantization,
  type LinearInputs,
  linearInputs,
  type ModelTensor,
  outputInputs,
  planForward,
} from "@quern/models";
import { inputQuantizations } from "./input-quantizations.ts";
import { modelIdentity } from "./model-identity.ts";

/** A model that can be run: nothing of its weights has been read, but scales of inputs. */
export interface RunnableModel {
  /** Of the folder or file. */
  readonly name: string;
  /** Absolute path of the folder or the (first) file. */
  readonly location: string;
  /** As GGUF calls it: "llama". */
  readonly architecture: string;
  readonly graph: ForwardGraph;
  /** What the linear layers of each block read. */
  readonly inputs: readonly (readonly LinearInputs[])[];
  /** What the layer that makes logits reads; absent for an encoder. */
  readonly outputInputs?: LinearInputs;
  /** By GGUF name. */
  readonly tensors: ReadonlyMap<string, ModelTensor>;
  readonly vocabularySize: number;
  /** Of linear layers whose inputs are quantized before they are read, by name; the graph has them, too. */
  readonly quantizedInputs: ReadonlyMap<string, InputQuantization>;
  /** SHA-256 in hexadecimal of the architecture and the names and shapes of all tensors. */
  readonly identity: string;
  /** Where weights are read from. */
  readonly source: {
    readonly shards: readonly CheckpointShard[];
    readonly tensors: ReadonlyMap<string, CheckpointTensor>;
  };
}

/**
 * Describes a model that is to be run, as runtimes run it: where a checkpoint says that inputs of layers are quantized, they are.
 *
 * @throws QuernError the codes of `describeSource`, `forwardModel` and `planForward`: `FORWARD_UNSUPPORTED`, `FORWARD_METADATA`,
 * `FORWARD_TENSOR_MISSING`, `FORWARD_TENSOR_INVALID`
 */
export async function openRunnable(source: Checkpoint | GgufModel): Promise<RunnableModel> {
  const description = await describeSource(source);
  const quantizedInputs = await inputQuantizations(description, source);
  const graph = planForward({ ...forwardModel(description), inputs: quantizedInputs });
  const output = outputInputs(graph.output);
  return {
    name: source.name,
    location: source.location,
    architecture: description.architecture,
    graph,
    inputs: graph.blocks.map(linearInputs),
    ...(output === undefined ? {} : { outputInputs: output }),
    tensors: new Map(description.tensors.map((tensor) => [tensor.name, tensor])),
    vocabularySize: graph.embedding.tokens,
    quantizedInputs,
    identity: await modelIdentity(description),
    source: { shards: source.shards, tensors: source.tensors },
  };
}
