import { isJsonObject } from "../json-file.ts";
import type { JsonObject } from "../json-file.ts";
import { modelNameParts, titleOf } from "./model-name.ts";

/** What GGUF keeps of a model or data set that a model was made from, in the order of the keys. */
export const SOURCE_FIELDS = [
  "name",
  "author",
  "version",
  "organization",
  "description",
  "url",
  "doi",
  "uuid",
  "repo_url",
] as const;

export type Source = Readonly<Partial<Record<(typeof SOURCE_FIELDS)[number], unknown>>>;

/**
 * Models or data sets that a card lists (gguf-py metadata.py `apply_metadata_heuristic`): an id, an address or an object, or a list
 * of them, under the first of `keys` that the card has.
 *
 * @returns undefined when the card has none of the keys
 */
export function readSources(
  card: JsonObject,
  keys: readonly string[],
  totalParameters: number,
): Source[] | undefined {
  const key = keys.find((candidate) => candidate in card);
  if (key === undefined) return undefined;
  const value = card[key];
  const entries: unknown[] = Array.isArray(value) ? value : typeof value === "string" ? [value] : [];
  return entries.map((entry) => {
    if (typeof entry === "string") return sourceOf(entry, totalParameters);
    return isJsonObject(entry) ? entry : {};
  });
}

function sourceOf(id: string, totalParameters: number): Source {
  if (!/^(https?|ssh):\/\//.test(id)) {
    const named = namedSource(id, totalParameters);
    const slash = id.indexOf("/");
    const hasOwner = slash >= 0 && !id.startsWith(".") && !id.includes(" ");
    return hasOwner ? { ...named, repo_url: `https://huggingface.co/${id}` } : named;
  }
  const hubId = /^https?:\/\/huggingface\.co\/([^/]+\/[^/]+)$/.exec(id)?.[1];
  return { ...(hubId === undefined ? {} : namedSource(hubId, totalParameters)), repo_url: id };
}

function namedSource(id: string, totalParameters: number): Source {
  const { fullName, organization, version } = modelNameParts(id, totalParameters);
  return {
    name: titleOf(fullName),
    ...(organization === undefined ? {} : { organization: titleOf(organization) }),
    ...(version === undefined ? {} : { version }),
  };
}
