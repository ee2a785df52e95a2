import { createRepository } from "@quern/hub/upload";
import type { PublicationEvent, PublicationReport, PublishedItemReport } from "../events.ts";
import { freeBytes } from "../gguf/plan-groups.ts";
import type { ItemState, PublicationGroup, PublicationItem, PublicationPlan } from "../plan.ts";
import { deleteLocal } from "./delete-local.ts";
import { Destination } from "./destination.ts";
import { evaluateItem } from "./evaluate-item.ts";
import { ProgressSum } from "./progress-sum.ts";

export interface PublishOptions {
  /** Stops the work; what is done stays, and another run goes on with it. */
  readonly signal?: AbortSignal;
  /** Called for every event, in order. */
  readonly onEvent?: (event: PublicationEvent) => void;
}

/**
 * Runs a plan: creates the repository, makes what is missing, evaluates it where that is asked for, and uploads each item as soon as it is
 * there, while the next one is made. An item is one commit, with the card of what the repository then holds. Local files go, where the plan says so, once the repository is seen
 * to hold them.
 *
 * @throws the reason of `signal`; QuernError `HUB_*`, `PUBLISH_*`, `UPLOAD_FILE_UNREADABLE`, and what making an item throws
 */
export async function publish(
  plan: PublicationPlan,
  options: PublishOptions = {},
): Promise<PublicationReport> {
  try {
    return await run(plan, options);
  } finally {
    await plan.journal.close();
  }
}

async function run(plan: PublicationPlan, options: PublishOptions): Promise<PublicationReport> {
  const started = performance.now();
  const { target, journal, items } = plan;
  const failed = new AbortController();
  const signal =
    options.signal === undefined ? failed.signal : AbortSignal.any([options.signal, failed.signal]);
  const emit = options.onEvent ?? ((): void => undefined);
  signal.throwIfAborted();

  const { access, id, isPrivate, patience } = target;
  const created = !target.exists && (await createRepository({ access, id, isPrivate, patience, signal }));
  const named = (wanted: ItemState): string[] =>
    items.flatMap(({ item, state }) => (state === wanted ? [item.name] : []));
  emit({
    type: "publish:start",
    repository: id,
    created,
    published: named("published"),
    made: named("made"),
    planned: named("planned"),
  });

  const progress = new ProgressSum(plan, emit);
  const destination = new Destination({ plan, progress, emit, signal });
  const reports = new Map<string, PublishedItemReport>();
  const evaluate = (item: PublicationItem): Promise<void> =>
    evaluateItem({ item, plan, progress, emit, signal });
  const finish = async (item: PublicationItem): Promise<void> => {
    reports.set(item.name, await destination.add(item));
    if (plan.deletesLocal) await deleteLocal({ item, journal, emit });
  };

  // One upload at a time: each takes all of the line. The first failure stops everything.
  let uploads = Promise.resolve();
  let duplicates: readonly string[] = [];
  const enqueue = (item: PublicationItem): void => {
    uploads = uploads.then(() => finish(item));
    uploads.catch((error: unknown) => failed.abort(error));
  };
  try {
    for (const { item, state } of items) {
      if (state !== "planned") await evaluate(item);
      if (state === "published") reports.set(item.name, destination.known(item));
      if (state === "published" && plan.deletesLocal) await deleteLocal({ item, journal, emit });
      if (state === "made") enqueue(item);
    }
    for (const group of plan.groups) {
      await makeRoom(group, plan, () => uploads);
      for (const { name, identity, targets } of group.items) await journal.begin(name, identity, targets);
      emit({ type: "item:make", items: group.items.map(({ name }) => name) });
      await group.make({
        signal,
        onEvent: (event) => progress.making(group, event),
        note: async (made) => {
          for (const [index, { name }] of group.items.entries()) await journal.made(name, made[index]!);
        },
      });
      progress.made(group);
      for (const item of group.items) {
        await evaluate(item);
        enqueue(item);
      }
    }
    await uploads;
    await destination.updateCard();
    duplicates = await destination.duplicates();
  } catch (error) {
    failed.abort(error);
    await uploads.catch(() => undefined);
    // What failed first says what is wrong.
    options.signal?.throwIfAborted();
    throw failed.signal.reason ?? error;
  } finally {
    await plan.evaluation?.close();
  }
  const { pullRequest } = journal;
  return {
    repository: id,
    url: `${access.endpoint}/${id}`,
    branch: destination.branch,
    ...(pullRequest && target.opensPullRequest ? { pullRequest: pullRequest.url } : {}),
    ...(duplicates.length === 0 ? {} : { duplicates }),
    commit: destination.commit,
    items: items.map(({ item }) => reports.get(item.name)!),
    bytes: items.reduce((sum, { item }) => sum + item.bytes, 0),
    seconds: (performance.now() - started) / 1000,
  };
}

/** Waits for uploads, after which files go, where the disk has no room for what is made next. */
async function makeRoom(
  { items }: PublicationGroup,
  { directory, deletesLocal }: PublicationPlan,
  uploads: () => Promise<void>,
): Promise<void> {
  if (!deletesLocal) return;
  const needed = items.reduce((sum, { bytes }) => sum + bytes, 0);
  if (needed > (await freeBytes(directory))) await uploads();
}
