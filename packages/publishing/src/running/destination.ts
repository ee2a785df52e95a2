import { setTimeout as sleep } from "node:timers/promises";
import { type HubRepository, readHubFile } from "@quern/hub";
import { sendByNode } from "@quern/hub/node";
import {
  type CommitEvent,
  commitFiles,
  type FileToCommit,
  findPullRequests,
  type PullRequest,
} from "@quern/hub/upload";
import { QuernError, type RetryPolicy, TransientFailure, withRetries } from "@quern/tensor";
import { mergeCard } from "../card/merge-card.ts";
import type { PublicationEvent, PublishedItemReport } from "../events.ts";
import { holds } from "../holds.ts";
import type { HashedFile } from "../journal-entries.ts";
import { openTarget } from "../open-target.ts";
import type { LocalFile, PublicationItem, PublicationPlan } from "../plan.ts";
import type { ProgressSum } from "./progress-sum.ts";
import { replacedFiles } from "./replaced-files.ts";

const README = "README.md";

/** Commits of others that may come between reading the card and writing it, and answers to the opening of a pull request that may be lost. */
const MOST_REPETITIONS = 5;

/** Before the first repetition, in milliseconds. */
const WAIT = 500;

/** How often a pull request is looked for whose opening had no answer: over half a minute. */
const MOST_LOOKS = 6;

/** Why a commit is made again, by the code of its error. */
const REPEATED: Readonly<Record<string, string>> = {
  HUB_CONFLICT: "the repository was changed by somebody else meanwhile",
  HUB_COMMIT_UNCERTAIN: "whether the pull request was opened is not known",
};

/** What a commit is to add. */
interface CommitWork {
  readonly title: string;
  /** That the repository holds afterwards. */
  readonly items: ReadonlySet<string>;
  readonly files: readonly FileToCommit[];
  /** The same ones. They are not committed again where a run that ended before it knew has done that. */
  readonly hashed?: readonly HashedFile[];
  readonly onEvent?: (event: CommitEvent) => void;
}

/** The branch that a publication adds to. */
export class Destination {
  /** Newest commit that is known. */
  commit = "";
  readonly #plan: PublicationPlan;
  readonly #progress: ProgressSum;
  readonly #emit: (event: PublicationEvent) => void;
  readonly #signal: AbortSignal;
  /** Names of the items that the repository holds. */
  readonly #held: Set<string>;

  constructor(params: {
    readonly plan: PublicationPlan;
    readonly progress: ProgressSum;
    readonly emit: (event: PublicationEvent) => void;
    readonly signal: AbortSignal;
  }) {
    this.#plan = params.plan;
    this.#progress = params.progress;
    this.#emit = params.emit;
    this.#signal = params.signal;
    const published = params.plan.items.filter(({ state }) => state === "published");
    this.#held = new Set(published.map(({ item }) => item.name));
  }

  /** "main", or that of the pull request once there is one. */
  get branch(): string {
    const { target, journal } = this.#plan;
    return (target.opensPullRequest ? journal.pullRequest?.branch : undefined) ?? "main";
  }

  /** What is recorded of an item that the repository holds. */
  known(item: PublicationItem): PublishedItemReport {
    return { item: item.name, files: this.#plan.journal.item(item.name)!.files! };
  }

  /**
   * Uploads the files of an item, adds them to the branch, and sees that they are there.
   *
   * @throws QuernError `PUBLISH_FILES_GONE`, `PUBLISH_NOT_CONFIRMED`, and what `commitFiles` throws
   */
  async add(item: PublicationItem): Promise<PublishedItemReport> {
    const { journal } = this.#plan;
    const { name } = item;
    const found = await item.findFiles();
    if (found === undefined) {
      throw new QuernError(
        "PUBLISH_FILES_GONE",
        `The files of ${name} are not there any more as they were made: ${item.targets[0]}`,
        { subject: { file: item.targets[0]! } },
      );
    }
    const made = journal.item(name)?.made;
    const finished = await item.finish({ files: found, made, signal: this.#signal });
    // The card of the repository is made of this one.
    const files = finished.filter(({ path }) => path !== README);
    const hashed = files.map(({ path, bytes: size, sha256, gitHash }): HashedFile => {
      return { path, bytes: size, sha256, ...(gitHash === undefined ? {} : { gitHash }) };
    });
    const paths = files.map(({ path }) => path);
    const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
    this.#emit({ type: "item:upload", item: name, files: paths, bytes });
    await journal.hashed(name, hashed);
    await this.#commit({
      title: `Add ${name}`,
      items: new Set([...this.#held, name]),
      files: files.map(({ path, local }) => ({ path, content: { file: local } })),
      hashed,
      onEvent: this.#follow(item, files),
    });
    await this.#confirm(item, hashed);
    this.#held.add(name);
    this.#emit({ type: "item:published", item: name, files: paths, bytes, commit: this.commit });
    return { item: name, files: hashed };
  }

  /** Brings the card up to date, where anything in it has changed since. */
  async updateCard(): Promise<void> {
    await this.#commit({ title: "Update the model card", items: this.#held, files: [] });
  }

  /** Commits files and the card, if there is anything to commit; again, when the branch moved on meanwhile. */
  #commit(work: CommitWork): Promise<void> {
    const { id, patience } = this.#plan.target;
    const { retryDelay = WAIT, onWait } = patience ?? {};
    const policy: RetryPolicy = {
      retries: MOST_REPETITIONS,
      retryDelay,
      signal: this.#signal,
      onWait: (wait) => onWait?.({ type: "network:wait", file: `hf:${id}`, ...wait }),
    };
    return withRetries(policy, async () => {
      try {
        await this.#commitOnce(work);
      } catch (error) {
        const reason = error instanceof QuernError ? REPEATED[error.code] : undefined;
        throw reason === undefined ? error : new TransientFailure(error as QuernError, reason);
      }
    });
  }

  async #commitOnce(work: CommitWork): Promise<void> {
    const { target, journal } = this.#plan;
    const { access, id, patience } = target;
    if (target.opensPullRequest) await this.#findPullRequest();
    const there = (await this.#open())!;
    const card = await this.#card(there, work.items, work.files);
    const isHeld = work.hashed !== undefined && holds(there, work.hashed);
    const files = [...(isHeld ? [] : work.files), ...(card === undefined ? [] : [card])];
    this.commit = there.commit;
    if (files.length === 0) return;
    const paths = new Set(work.files.map(({ path }) => path));
    const removed = isHeld ? [] : await replacedFiles({ there, paths, access, signal: this.#signal });
    const opens = target.opensPullRequest && journal.pullRequest === undefined;
    const mark = opens ? (journal.pullRequestMark ?? (await journal.openingPullRequest())) : undefined;
    const { commit, pullRequest } = await commitFiles({
      access,
      id,
      title: mark === undefined ? work.title : `${work.title} (${mark})`,
      files,
      removed,
      branch: this.branch,
      parent: there.commit,
      openPullRequest: opens,
      patience,
      signal: this.#signal,
      ...(work.onEvent && { onEvent: work.onEvent }),
    });
    this.commit = commit;
    if (pullRequest !== undefined) await this.#opened(pullRequest);
  }

  /**
   * Finds the pull request that was opened without an answer, or by a run that ended before it had noted it. The Hub may still be at it: before
   * another is opened it is looked for some times.
   */
  async #findPullRequest(): Promise<void> {
    const { target, journal } = this.#plan;
    if (journal.pullRequestMark === undefined || journal.pullRequest !== undefined) return;
    const { retryDelay = WAIT, onWait } = target.patience ?? {};
    const begun = performance.now();
    for (let looks = 1; ; looks++) {
      const [found] = await this.#pullRequests();
      if (found !== undefined) return this.#opened(found);
      if (looks === MOST_LOOKS) return;
      const wait = retryDelay * 2 ** looks;
      onWait?.({
        type: "network:wait",
        file: `hf:${target.id}`,
        reason: REPEATED["HUB_COMMIT_UNCERTAIN"]!,
        attempt: looks + 1,
        attempts: MOST_LOOKS,
        seconds: wait / 1000,
        elapsed: (performance.now() - begun) / 1000,
      });
      await sleep(wait, undefined, { signal: this.#signal });
    }
  }

  /** Those that have the mark of this publication. */
  async #pullRequests(): Promise<readonly PullRequest[]> {
    const { target, journal } = this.#plan;
    const { access, id, patience } = target;
    const { pullRequestMark: mark } = journal;
    return mark === undefined ? [] : findPullRequests({ access, id, mark, patience, signal: this.#signal });
  }

  /** Pull requests that the Hub has opened in spite of all, after another was: nothing goes to them, and somebody should close them. */
  async duplicates(): Promise<readonly string[]> {
    const { target, journal } = this.#plan;
    if (!target.opensPullRequest) return [];
    const opened = journal.pullRequest?.url;
    const urls = (await this.#pullRequests()).map(({ url }) => url).filter((url) => url !== opened);
    for (const url of urls) this.#emit({ type: "pull-request:duplicate", url });
    return urls;
  }

  async #opened(pullRequest: PullRequest): Promise<void> {
    await this.#plan.journal.openedPullRequest(pullRequest);
    this.#emit({ type: "pull-request", url: pullRequest.url });
  }

  /** The card, where it is another than that of the repository. */
  async #card(
    there: HubRepository,
    items: ReadonlySet<string>,
    files: readonly FileToCommit[],
  ): Promise<FileToCommit | undefined> {
    const { target, makeCard } = this.#plan;
    const location = there.files.get(README);
    const { access, patience } = target;
    const reading = {
      access,
      signal: this.#signal,
      transport: sendByNode,
      ...(patience && { patience }),
    };
    const read = location && (await readHubFile({ location, ...reading }));
    const existing = read && new TextDecoder().decode(read);
    const card = await makeCard({
      items,
      existing,
      files: new Set([...there.files.keys(), ...files.map(({ path }) => path)]),
    });
    if (card === undefined) return undefined;
    const text = mergeCard(existing, card);
    return text === existing ? undefined : { path: README, content: { text } };
  }

  /** @throws QuernError `PUBLISH_NOT_CONFIRMED` */
  async #confirm(item: PublicationItem, files: readonly HashedFile[]): Promise<void> {
    const { target, journal } = this.#plan;
    const there = await this.#open(this.commit);
    if (!holds(there, files)) {
      throw new QuernError(
        "PUBLISH_NOT_CONFIRMED",
        `hf:${target.id}: the commit ${this.commit} does not hold the files of ${item.name} as they are here; nothing is removed`,
        { subject: { file: `hf:${target.id}` } },
      );
    }
    await journal.committed(item.name, this.commit);
  }

  #open(revision: string = this.branch): Promise<HubRepository | undefined> {
    const { access, id, patience } = this.#plan.target;
    return openTarget({ access, id, patience, branch: revision, signal: this.#signal });
  }

  /** Turns bytes of files into bytes of the item. */
  #follow(item: PublicationItem, files: readonly LocalFile[]): (event: CommitEvent) => void {
    const done = new Map<string, number>();
    const known = new Set(files.map(({ path }) => path));
    return (event) => {
      if (event.type !== "upload:progress" || !known.has(event.path)) return;
      done.set(event.path, event.done);
      const bytes = [...done.values()].reduce((sum, one) => sum + one, 0);
      this.#progress.uploading(item.name, event.path, Math.min(bytes, item.bytes));
    };
  }
}
