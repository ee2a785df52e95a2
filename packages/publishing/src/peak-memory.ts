import type { ItemEvaluation } from "./evaluation.ts";
import type { PublicationGroup } from "./plan.ts";

/**
 * Resident memory of Node with what lists repositories and uploads, and of an upload beside other work, which takes some buffers whatever the
 * sizes of files are: as measured (Node 20 on Linux x64), rounded up.
 */
const PROCESS_BYTES = 130 * 2 ** 20;
const UPLOAD_BYTES = 40 * 2 ** 20;

/** One thing is made or evaluated at a time, and others are uploaded meanwhile. @returns estimated peak of the process's resident memory in bytes */
export function peakMemoryOf(params: {
  readonly groups: readonly Pick<PublicationGroup, "peakMemory">[];
  readonly evaluation: ItemEvaluation | undefined;
}): number {
  const { groups, evaluation } = params;
  const working = [...groups, ...(evaluation ? [evaluation.estimate] : [])].map(
    ({ peakMemory }) => peakMemory,
  );
  return Math.max(PROCESS_BYTES, ...working) + UPLOAD_BYTES;
}
