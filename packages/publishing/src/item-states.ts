import type { HubRepository } from "@quern/hub";
import { QuernError } from "@quern/tensor";
import { holds } from "./holds.ts";
import type { PublicationJournal } from "./journal.ts";
import type { PlannedItem, PublicationItem } from "./plan.ts";

/**
 * Finds out how far items are, by what the journal says of them, what the repository holds and what lies on this machine.
 *
 * @param params.repository What is published to; undefined when it is not there yet.
 * @throws QuernError `PUBLISH_OTHER_RUN` when something else was begun under the name of an item, and has not come to its end
 */
export async function itemStates(params: {
  readonly items: readonly PublicationItem[];
  readonly journal: PublicationJournal;
  readonly repository: Pick<HubRepository, "files"> | undefined;
}): Promise<PlannedItem[]> {
  const { items, journal, repository } = params;
  const states: PlannedItem[] = [];
  for (const item of items) states.push({ item, state: await stateOf(item, journal, repository) });
  return states;
}

async function stateOf(
  item: PublicationItem,
  journal: PublicationJournal,
  repository: Pick<HubRepository, "files"> | undefined,
): Promise<PlannedItem["state"]> {
  const record = journal.item(item.name);
  if (record === undefined) return "planned";
  const { identity, files, commit } = record;
  if (identity !== item.identity) {
    if (commit !== undefined) return "planned";
    throw new QuernError(
      "PUBLISH_OTHER_RUN",
      `${journal.path}: ${item.name} was begun from another source or version of it, with other options or by another version of this program, and has not been published. Run that command again to go on with it, or pass --restart to begin anew.`,
      { subject: { file: journal.path, key: item.name } },
    );
  }
  if (commit !== undefined && files !== undefined && holds(repository, files)) return "published";
  if (item.goesOnUntilNoted && record.made === undefined) return "planned";
  return (await item.findFiles()) === undefined ? "planned" : "made";
}
