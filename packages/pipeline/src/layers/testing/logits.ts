import { ShardReader } from "@quern/checkpoints/node";
import { loadKernels } from "@quern/kernels";
import {
  embedTokens,
  type Evaluation,
  evaluateBlock,
  forwardModel,
  loadParameters,
  outputLogits,
  planForward,
} from "@quern/models";
import type { LayeredModel } from "../linear-layers.ts";

/** What a checkpoint makes of tokens. */
export async function logitsOf(
  { checkpoint, description }: LayeredModel,
  tokens: number[],
): Promise<Float32Array> {
  const kernels = await loadKernels();
  const shards = new ShardReader(checkpoint.shards);
  const reader = shards.reading({
    tensors: [...checkpoint.tensors.values()],
    buffer: (size) => new Uint8Array(size),
  });
  const tensors = new Map(description.tensors.map((tensor) => [tensor.name, tensor]));
  const evaluation = async (names: readonly string[]): Promise<Evaluation> => ({
    kernels,
    parameters: await loadParameters({ tensors, reader, names }),
  });
  try {
    const { embedding, blocks, output } = planForward(forwardModel(description));
    let hidden = embedTokens({ graph: embedding, evaluation: await evaluation(embedding.tensors), tokens });
    for (const graph of blocks) {
      const own = await evaluation(graph.tensors);
      hidden = evaluateBlock({ graph, evaluation: own, hidden, tokens: tokens.length });
    }
    return outputLogits({
      graph: output,
      evaluation: await evaluation(output.tensors),
      hidden,
      rows: tokens.length,
    });
  } finally {
    await shards.close();
  }
}
