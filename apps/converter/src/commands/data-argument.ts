import { parseWeightedFile, type WeightedFile } from "@quern/corpus";

/** Reads `--data`: files with or without weights; the option may be repeated. */
export function dataArgument(text: string, previous: readonly WeightedFile[] | undefined): WeightedFile[] {
  return [...(previous ?? []), parseWeightedFile(text)];
}
