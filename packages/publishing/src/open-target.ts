import { type HubAccess, type HubPatience, type HubRepository, openRepository } from "@quern/hub";
import { sendByNode } from "@quern/hub/node";
import { QuernError } from "@quern/tensor";

/**
 * What the repository that is published to holds now.
 *
 * @param params.branch Default: the main branch.
 * @returns undefined when it is not there
 * @throws QuernError what `openRepository` throws
 */
export async function openTarget(params: {
  readonly access: HubAccess;
  readonly id: string;
  readonly branch?: string | undefined;
  readonly patience?: HubPatience | undefined;
  readonly signal?: AbortSignal | undefined;
}): Promise<HubRepository | undefined> {
  const { access, id, branch, patience, signal } = params;
  try {
    return await openRepository({
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
}
