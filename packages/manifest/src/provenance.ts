import type { ManifestOrigin } from "./manifest.ts";

/**
 * The origin of a model in pairs of text, for the metadata of its files.
 *
 * | key | what |
 * | --- | --- |
 * | `quern.version` | of the program |
 * | `quern.source` | "hf:org/name", or the name of a folder or file |
 * | `quern.source.commit` | of the Hub |
 * | `quern.recipe` | name of the recipe or type |
 * | `quern.recipe.sha256` | of the recipe as the manifest has it, as JSON with sorted keys and without white space |
 * | `quern.calibration.sha256` | of the statistics or the importance matrix |
 *
 * @param sha256 Hashes text, as hex.
 */
export function provenancePairs(
  { tool, source, recipe, calibration }: ManifestOrigin,
  sha256: (text: string) => string,
): ReadonlyMap<string, string> {
  const name = recipe.container === "gguf" ? recipe.type : recipe.recipe["name"];
  const pairs: readonly (readonly [string, string | undefined])[] = [
    ["quern.version", tool.version],
    ["quern.source", source.repository === undefined ? source.name : `hf:${source.repository}`],
    ["quern.source.commit", source.commit],
    ["quern.recipe", typeof name === "string" ? name : undefined],
    ["quern.recipe.sha256", sha256(JSON.stringify(recipe, withSortedKeys))],
    ["quern.calibration.sha256", calibration?.sha256],
  ];
  return new Map(pairs.flatMap(([key, value]) => (value === undefined ? [] : [[key, value] as const])));
}

/** Keys have no order of their own: the same data has the same text. */
function withSortedKeys(_key: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
