import type { QuantizedCheckpointPlan } from "@quern/checkpoints";
import type { LayeredModel } from "../linear-layers.ts";
import type { Target } from "../tasks/target.ts";

/** Files that are found in a folder of their own. */
const MORE_TEMPLATES = "additional_chat_templates";

/** Files beside a model, of which some are copied. */
export function pathsOf({ checkpoint: { files } }: LayeredModel): string[] {
  return [...files.list(""), ...files.list(MORE_TEMPLATES).map((name) => `${MORE_TEMPLATES}/${name}`)];
}

/** What is written beside the weights. */
export function smallFiles(
  { checkpoint }: LayeredModel,
  { files, copies }: QuantizedCheckpointPlan,
): { name: string; size: number }[] {
  return [
    ...[...files].map(([name, { byteLength: size }]) => ({ name, size })),
    ...copies.map((name) => ({ name, size: checkpoint.files.size(name) ?? 0 })),
  ];
}

/** Where each tensor lies, by name. */
export function targetsOf({ shards: { shards } }: QuantizedCheckpointPlan): ReadonlyMap<string, Target> {
  return new Map(
    shards.flatMap(({ layout }, file) =>
      [...layout.tensors].map(([name, { offset }]): [string, Target] => [name, { file, offset }]),
    ),
  );
}
