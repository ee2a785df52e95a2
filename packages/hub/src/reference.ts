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
const LONGEST = 96;
/** What no name of a branch or tag has (git, `refs.c`, `check_refname_format`): a part that is empty or hidden or a lock, or one of these. */
// oxlint-disable-next-line no-control-regex
const NO_REVISION = /(?:^|\/)(?:\.|\/|$)|\.\.|@\{|\.(?:lock)?(?:\/|$)|[\x00-\x20\x7f~^:?*[\\]/;
/** Addresses of pages of repositories and of what is in them. */
const WEB_ADDRESS = /^https?:\/\/[^/]+\/([^/?#]+\/[^/?#]+)(?:\/tree\/([^?#]+?))?\/?(?:[?#].*)?$/i;

/** Whether a text says that it names a repository: "hf:...". */
export function hasHubPrefix(text: string): boolean {
  return text.startsWith(PREFIX);
}

/** Whether a text is a web address, which no path is: whoever pastes one means a repository. */
export function isWebAddress(text: string): boolean {
  return /^https?:\/\//i.test(text);
}

/**
 * Reads "hf:org/name" or "hf:org/name@revision"; the prefix may be missing.
 *
 * @throws QuernError `HUB_REFERENCE_INVALID`
 */
export function parseHubReference(text: string): HubReference {
  if (isWebAddress(text)) throw webAddress(text);
  const [, id = "", revision] = /^([^@]*)(?:@(.*))?$/.exec(text.replace(PREFIX, "")) ?? [];
  const parts = id.split("/");
  const isId =
    parts.length <= 2 && id.length <= LONGEST && parts.every((part) => NAME.test(part)) && !id.includes("..");
  const isRevision = revision === undefined || !NO_REVISION.test(revision);
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

/** Says how the repository is named. The address itself may hold a password. */
function webAddress(text: string): QuernError {
  const [, id, revision] = WEB_ADDRESS.exec(text) ?? [];
  const named =
    id === undefined
      ? "hf:<owner>/<name> or hf:<owner>/<name>@<branch, tag or commit>"
      : `hf:${id}${revision === undefined ? "" : `@${revision.replaceAll(/%2F/gi, "/")}`}`;
  return new QuernError(
    "HUB_REFERENCE_INVALID",
    `Repositories of the Hub are not named by web addresses: expected ${named}`,
  );
}
