import type { CheckpointTensor } from "@quern/checkpoints";
import { finishedEntry } from "../finished-entry.ts";
import type { CheckpointPlan, PlannedLinear } from "../plan.ts";
import { layersOfOpenBlocks } from "./layers-left.ts";

/**
 * Tensors of the source that are read by a run that goes on with what another has left, as far as that is known before it is hashed.
 *
 * @param entries Of its journal.
 */
export function weightsLeft(
  { stages, copies, checks, rotation, inputs }: Omit<CheckpointPlan, "identity" | "networkBytesLeft">,
  entries: readonly unknown[],
): CheckpointTensor[] {
  const noted = entries.flatMap((entry) => finishedEntry(entry) ?? []);
  const names = new Set(noted.flatMap(({ tensors }) => Object.keys(tensors)));
  const modules = new Set(noted.flatMap(({ layer }) => layer?.module ?? []));
  const isFinished = ({ linear }: PlannedLinear): boolean => modules.has(linear.module);
  const layers =
    inputs?.follows === true
      ? layersOfOpenBlocks(stages, isFinished)
      : stages
          .flatMap(({ groups }) => groups.flatMap((group) => group.layers))
          .filter((one) => !isFinished(one));
  const weights = [
    ...layers.flatMap((layer) => [layer.weights, ...(layer.bias ? [layer.bias.weights] : [])]),
    ...copies.filter(({ name }) => !names.has(name)).map((copy) => copy.weights),
  ];
  const sources = [
    ...weights.flatMap((one) => one.sources),
    // Every run rotates anew, and looks at what that does to blocks.
    ...(rotation === undefined ? [] : checks.flatMap((check) => check.sources)),
  ];
  return [...new Map(sources.map((source) => [source.name, source])).values()];
}
