import { QuernError } from "@quern/tensor";

/** A model repository as a user names it. */
export interface HubReference {
  /** "org/name"; "name" alone for the few that have no owner. */
  readonly id: string;
  /** Branch, tag or commit. Default: the main branch. */
  readonly revision?: string;
}

const PREFIX = "hf:";
const NAME = /^[A-Za-z0-9_](?:[\w.-]*[A-Za-z0-9_])?$/;
const REVISION = /^[\w.+-]+(?:\/[\w.+-]+)*$/;
const LONGEST = 96;

/** Whether a text says that it names a repository: "hf:...". */
export function hasHubPrefix(text: string): boolean {
  return text.startsWith(PREFIX);
}

/**
 * Reads "hf:org/name" or "hf:org/name@revision"; the prefix may be missing.
 *
 * @throws QuernError `HUB_REFERENCE_INVALID`
 */
export function parseHubReference(text: string): HubReference {
  const [, id = "", revision] = /^([^@]*)(?:@(.*))?$/.exec(text.replace(PREFIX, "")) ?? [];
  const parts = id.split("/");
  const isId =
    parts.length <= 2 && id.length <= LONGEST && parts.every((part) => NAME.test(part)) && !id.includes("..");
  const isRevision = revision === undefined || (REVISION.test(revision) && !revision.includes(".."));
  if (isId && isRevision) return revision === undefined ? { id } : { id, revision };
  throw new QuernError(
    "HUB_REFERENCE_INVALID",
    `${JSON.stringify(text)} does not name a repository of the Hub: expected hf:<owner>/<name> or hf:<owner>/<name>@<branch, tag or commit>`,
    { subject: { file: text } },
  );
}

/** Whether a text without a prefix can be meant as "org/name" or "org/name@revision", and not as a path of any other form. */
export function looksLikeRepository(text: string): boolean {
  try {
    return parseHubReference(text).id.includes("/");
  } catch {
    return false;
  }
}
