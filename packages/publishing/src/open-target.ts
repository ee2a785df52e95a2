import { type HubAccess, type HubPatience, type HubRepository, openRepository } from "@quern/hub";
import { sendByNode } from "@quern/hub/node";
import { QuernError } from "@quern/tensor";

/**
 * What the repository that is published to holds now.
 *
 * @param params.branch Default: the main branch.
 * @param params.isPrivate Whether it has to be private, if it is there. @default false
 * @returns undefined when it is not there
 * @throws QuernError `PUBLISH_REPOSITORY_PUBLIC`; what `openRepository` throws
 */
export async function openTarget(params: {
  readonly access: HubAccess;
  readonly id: string;
  readonly branch?: string | undefined;
  readonly isPrivate?: boolean;
  readonly patience?: HubPatience | undefined;
  readonly signal?: AbortSignal | undefined;
}): Promise<HubRepository | undefined> {
  const { access, id, branch, isPrivate = false, patience, signal } = params;
  let repository: HubRepository;
  try {
    repository = await openRepository({
      reference: { id, ...(branch === undefined ? {} : { revision: branch }) },
      access,
      transport: sendByNode,
      ...(patience === undefined ? {} : { patience }),
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (error) {
    if (error instanceof QuernError && error.code === "HUB_REPOSITORY_NOT_FOUND") return undefined;
    throw error;
  }
  if (!isPrivate || repository.isPrivate !== false) return repository;
  throw new QuernError(
    "PUBLISH_REPOSITORY_PUBLIC",
    `hf:${id}: a private repository is asked for, and this one is there and public. Make it private (${access.endpoint}/${id}/settings), name another one, or do not ask for a private one.`,
    { subject: { file: `hf:${id}` } },
  );
}
