import { expressionSources, forwardModel, planForward } from "@quern/models";
import type { LayeredModel } from "../linear-layers.ts";
import type { PlannedBlockCheck } from "../plan.ts";
import { tensorBytes } from "./memory.ts";

/** Blocks that are run as they were and as they became: those of which weights are changed. */
export function planChecks(
  { description, checkpoint }: LayeredModel,
  blocks: ReadonlySet<number>,
): PlannedBlockCheck[] {
  if (blocks.size === 0) return [];
  const graph = planForward(forwardModel(description));
  const known = new Map(description.tensors.map((tensor) => [tensor.name, tensor]));
  return graph.blocks.flatMap((block): PlannedBlockCheck[] => {
    if (!blocks.has(block.layer)) return [];
    const tensors = block.tensors.flatMap((name) => known.get(name) ?? []);
    const sources = new Set(tensors.flatMap(({ expression }) => expressionSources(expression)));
    return [
      {
        graph: block,
        width: graph.embedding.width,
        tensors,
        sources: [...sources].map((name) => checkpoint.tensors.get(name)!),
        bytes: tensorBytes(tensors),
      },
    ];
  });
}
