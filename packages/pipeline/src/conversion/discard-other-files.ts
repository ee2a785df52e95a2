import { rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { journalPathOf, partialPathOf, reportingAs } from "@quern/tensor/node";
import { type ConversionState, readConversionJournal } from "../journal/conversion-journal.ts";
import type { ConversionPlan } from "../plan.ts";

/**
 * Removes what an earlier run has left unfinished under names that this one does not have. Files of a run with a journal of its own stay.
 *
 * @throws QuernError `OUTPUT_*` when one cannot be removed
 */
export async function discardOtherFiles(
  { path: journal, identity }: ConversionState,
  plan: ConversionPlan,
): Promise<void> {
  const planned = new Set(plan.outputs.flatMap(({ files }) => files.map(({ path }) => path)));
  const names = (identity?.outputs ?? []).flatMap(({ files }) => files.map(({ name }) => name));
  for (const name of names) {
    const path = join(dirname(journal), name);
    if (basename(name) !== name || planned.has(path)) continue;
    const other = await readConversionJournal(journalPathOf(path));
    if (other !== undefined) continue;
    await reportingAs(path, () => rm(partialPathOf(path), { force: true }));
  }
}
