// Logits of our forward pass.
import { openModel } from "@quern/checkpoints/node";
import { openParameters, openRunnable } from "@quern/inference";
import { embedTokens, evaluateBlock, outputLogits } from "@quern/models";

/**
 * Logits of a sequence, tokens x vocabulary.
 *
 * @param params.path a checkpoint or a GGUF file
 * @param params.editBlock may change the graph of a block
 * @param params.observe sees the inputs of linear layers
 */
export async function quernLogits({ path, tokens, kernels, editBlock = (graph) => graph, observe }) {
  const model = await openRunnable(await openModel(path));
  const parameters = openParameters(model);
  try {
    const evaluation = async ({ tensors }) => ({
      kernels,
      parameters: await parameters.load(tensors),
      ...(observe === undefined ? {} : { observe }),
    });
    const { embedding, blocks, output } = model.graph;
    let hidden = embedTokens({ graph: embedding, evaluation: await evaluation(embedding), tokens });
    for (const block of blocks) {
      const graph = editBlock(block);
      hidden = evaluateBlock({ graph, evaluation: await evaluation(graph), hidden, tokens: tokens.length });
    }
    return outputLogits({ graph: output, evaluation: await evaluation(output), hidden, rows: tokens.length });
  } finally {
    await parameters.close();
  }
}
