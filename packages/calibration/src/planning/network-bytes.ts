import { remoteBytes } from "@quern/checkpoints/node";
import type { RunnableModel } from "@quern/inference";
import { expressionSources } from "@quern/models";
import type { CalibrationPlan } from "../plan.ts";
import type { Stage } from "../stage.ts";

/**
 * Bytes of weights that come over the network.
 *
 * @param params.completed Blocks that an earlier run has completed, where one is gone on with.
 */
export function networkBytesOf(params: {
  readonly model: RunnableModel;
  readonly stages: readonly Stage[];
  readonly completed: ReadonlySet<number> | undefined;
}): Pick<CalibrationPlan, "networkBytes" | "networkBytesLeft"> {
  const { model, stages, completed } = params;
  const { tensors, shards } = model.source;
  const networkBytes = remoteBytes(tensors.values(), shards);
  if (completed === undefined) return { networkBytes, networkBytesLeft: networkBytes };
  const next = stages.findIndex(({ block }) => !completed.has(block));
  const left = next === -1 ? [] : stages.slice(next).flatMap((stage) => stage.tensors);
  const names = left.flatMap((name) => {
    const tensor = model.tensors.get(name);
    return tensor === undefined ? [] : expressionSources(tensor.expression);
  });
  const sources = [...new Set(names)].flatMap((name) => tensors.get(name) ?? []);
  return { networkBytes, networkBytesLeft: remoteBytes(sources, shards) };
}
