// What a thread of quality.mjs does: collects statistics, rounds the layers of a group, and compares a window's predictions with others.
import { loadKernels } from "@quern/kernels";
import { embedTokens, evaluateBlock, outputLogits } from "@quern/models";
import { roundGroup } from "./round-group.mjs";

/** @param model graph and parameters of the model, groups of linear layers by the name of the first. */
export async function createService({ graph, parameters, groups }) {
  const kernels = await loadKernels();
  const { math } = kernels;
  const statistics = new Map();

  /** Logits of all positions of a window. */
  function predict({ tokens, weights, observe }) {
    const all = weights ? new Map([...parameters, ...weights]) : parameters;
    const evaluation = { kernels, parameters: all, ...(observe && { observe }) };
    let hidden = embedTokens({ graph: graph.embedding, evaluation, tokens, starts: [0] });
    for (const block of graph.blocks) {
      hidden = evaluateBlock({ graph: block, evaluation, hidden, tokens: tokens.length, starts: [0] });
    }
    return outputLogits({ graph: graph.output, evaluation, hidden, rows: tokens.length });
  }

  function observe({ module, input, rows }) {
    const columns = groups.get(module)?.columns;
    if (columns === undefined) return;
    if (!statistics.has(module)) {
      statistics.set(module, {
        matrix: new Float64Array(columns ** 2),
        magnitudes: new Float64Array(columns),
        largest: new Float32Array(columns),
        tokens: 0,
      });
    }
    const found = statistics.get(module);
    math.syrk({ x: input, tokens: rows, n: columns, h: found.matrix });
    for (let i = 0; i < input.length; i++) {
      const magnitude = Math.abs(input[i]);
      found.magnitudes[i % columns] += magnitude;
      if (magnitude > found.largest[i % columns]) found.largest[i % columns] = magnitude;
    }
    found.tokens += rows;
  }

  function logProbabilities(logits) {
    const size = graph.embedding.tokens;
    for (let start = 0; start < logits.length; start += size) {
      const row = logits.subarray(start, start + size);
      let most = -Infinity;
      for (const value of row) most = Math.max(most, value);
      let sum = 0;
      for (const value of row) sum += Math.exp(value - most);
      const shift = most + Math.log(sum);
      for (let i = 0; i < size; i++) row[i] -= shift;
    }
    return logits;
  }

  const tasks = {
    observe({ tokens }) {
      predict({ tokens, observe });
    },
    statistics: () => statistics,
    reference({ tokens, target }) {
      target.set(logProbabilities(predict({ tokens })));
    },
    round: (task) => roundGroup({ ...task, parameters, kernels }),
    /** Sums over the positions whose next token is in the window. */
    compare({ tokens, weights, reference }) {
      const found = logProbabilities(predict({ tokens, weights }));
      const size = graph.embedding.tokens;
      const result = { positions: tokens.length - 1, divergence: 0, surprise: 0, known: 0 };
      for (let position = 0; position < result.positions; position++) {
        const start = position * size;
        for (let i = start; i < start + size; i++) {
          result.divergence += Math.exp(reference[i]) * (reference[i] - found[i]);
        }
        const next = start + tokens[position + 1];
        result.surprise -= found[next];
        result.known -= reference[next];
      }
      return result;
    },
  };
  return {
    description: `${kernels.info.backend} ${kernels.info.isa}`,
    run: (task) => tasks[task.kind](task),
    close: async () => {},
  };
}
