import type { QuantizedCheckpointPlan, TensorOrigin } from "@quern/checkpoints";
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

/** A tensor, or a part of one that is made of several. */
export interface PlacedPart {
  readonly name: string;
  readonly target: Target;
  readonly bytes: number;
}

/** What tensors of the files are made of, one after another: most of themselves. */
export function placedParts({ shards: { shards }, origins }: QuantizedCheckpointPlan): PlacedPart[] {
  return shards.flatMap(({ layout }, file) =>
    [...layout.tensors].flatMap(([name, { offset, size }]) => {
      const names = partNames(name, origins.get(name));
      const bytes = size / names.length;
      return names.map((part, index) => ({
        name: part,
        target: { file, offset: offset + index * bytes },
        bytes,
      }));
    }),
  );
}

/** Where each of them lies, by name. */
export function targetsOf(checkpoint: QuantizedCheckpointPlan): ReadonlyMap<string, Target> {
  return new Map(placedParts(checkpoint).map(({ name, target }) => [name, target]));
}

function partNames(name: string, origin: TensorOrigin | undefined): readonly string[] {
  if (origin === undefined) return [name];
  if ("copies" in origin) return origin.copies;
  if ("modules" in origin) return origin.modules.map((module) => module + origin.suffix);
  return [name];
}
