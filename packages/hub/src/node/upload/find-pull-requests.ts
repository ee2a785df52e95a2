import { QuernError } from "@quern/tensor";
import type { HubAccess } from "../../access.ts";
import type { HubPatience } from "../../patience.ts";
import { apiFetch } from "../../request-api.ts";
import { sendByNode } from "../send-by-node.ts";
import { writePolicy } from "./policy.ts";

/** A pull request, and the branch that further commits to it go to. */
export interface PullRequest {
  readonly url: string;
  /** "refs/pr/4" */
  readonly branch: string;
}

/** Far more than any repository has pull requests. */
const MOST_PAGES = 1000;

interface Page {
  readonly count: number;
  readonly start: number;
  readonly discussions: readonly { readonly num: number; readonly title: string }[];
}

/**
 * Finds the pull requests whose title has a mark, whatever has become of them since.
 *
 * The listing is `GET /api/models/<id>/discussions`, in pages (huggingface_hub 1.x, `HfApi.get_repo_discussions`).
 *
 * @returns in the order in which they were opened
 * @throws QuernError `HUB_UNAUTHORIZED`, `HUB_REPOSITORY_NOT_FOUND`, `HUB_REQUEST_FAILED`, `HUB_UNREACHABLE`, `HUB_RESPONSE_INVALID`; the reason of `signal`
 */
export async function findPullRequests(params: {
  readonly access: HubAccess;
  /** "org/name" */
  readonly id: string;
  /** Part of the title that no other has. */
  readonly mark: string;
  readonly patience?: HubPatience | undefined;
  readonly signal?: AbortSignal | undefined;
}): Promise<readonly PullRequest[]> {
  const { access, id, mark, patience, signal } = params;
  const { policy } = writePolicy(id, patience, signal);
  const fetch = apiFetch({ access, subject: { id, revision: undefined }, policy, transport: sendByNode });
  const numbers: number[] = [];
  for (let page = 0; page < MOST_PAGES; page++) {
    const query = new URLSearchParams({ type: "pull_request", status: "all", p: String(page) });
    const response = await fetch(`${access.endpoint}/api/models/${id}/discussions?${query}`);
    const { count, start, discussions } = pageOf(id, await response.text());
    for (const { num, title } of discussions) if (title.includes(mark)) numbers.push(num);
    if (discussions.length === 0 || start + discussions.length >= count) break;
  }
  return numbers
    .sort((one, other) => one - other)
    .map((number) => ({
      url: `${access.endpoint}/${id}/discussions/${number}`,
      branch: `refs/pr/${number}`,
    }));
}

/** @throws QuernError `HUB_RESPONSE_INVALID` */
function pageOf(id: string, text: string): Page {
  let page: Partial<Page> | null = null;
  try {
    page = JSON.parse(text) as Partial<Page> | null;
  } catch {
    // Said below.
  }
  const isSound =
    Number.isSafeInteger(page?.count) &&
    Number.isSafeInteger(page?.start) &&
    Array.isArray(page?.discussions) &&
    page.discussions.every((one) => Number.isSafeInteger(one?.num) && typeof one.title === "string");
  if (isSound) return page as Page;
  throw new QuernError(
    "HUB_RESPONSE_INVALID",
    `hf:${id}: the listing of pull requests is not what the documentation of the Hub says: expected count, start, and discussions with num and title`,
    { subject: { file: `hf:${id}` } },
  );
}
