import { randomBytes } from "node:crypto";
import { basename, join } from "node:path";
import { QuernError } from "@quern/tensor";
import { checkUnused, type FoundJournal, Journal, readJournal } from "@quern/tensor/node";
import {
  type EvaluatedRecord,
  type HashedFile,
  type OpenedPullRequest,
  PUBLICATION_JOURNAL,
  type PublicationEntry,
} from "./journal-entries.ts";
import type { MadeRecord } from "./plan.ts";

/** What is known of an item from this publication, or from one before. */
export interface ItemRecord {
  readonly identity: string;
  /** Names without folders. */
  readonly targets: readonly string[];
  readonly made?: MadeRecord;
  readonly evaluated?: EvaluatedRecord;
  readonly files?: readonly HashedFile[];
  readonly commit?: string;
}

/** What a publication has done, in a file beside the files that it makes, which stays there. */
export class PublicationJournal {
  readonly path: string;
  readonly #repository: string;
  readonly #items = new Map<string, ItemRecord>();
  #pullRequest: OpenedPullRequest | undefined;
  #mark: string | undefined;
  readonly #givenUp = new Set<string>();
  /** What the next line is written behind; undefined where a new journal is begun. */
  #there: Pick<FoundJournal, "path" | "bytes"> | undefined;
  #journal: Promise<Journal<PublicationEntry>> | undefined;

  private constructor(path: string, repository: string) {
    this.path = path;
    this.#repository = repository;
  }

  /**
   * Reads the journal of a repository's publication; there is none at first. Nothing is changed before there is something to note.
   *
   * @param folder That of the files.
   * @param params.restart Forgets what was done, but for the names that were given: what bears them may be replaced. @default false
   * @throws QuernError `PUBLISH_JOURNAL_INVALID` unless it is forgotten, `OUTPUT_IN_USE`
   */
  static async open(
    folder: string,
    repository: string,
    params: { readonly restart?: boolean } = {},
  ): Promise<PublicationJournal> {
    const { restart = false } = params;
    const path = join(folder, `${repository.replaceAll("/", "--")}.publication.jsonl`);
    const journal = new PublicationJournal(path, repository);
    const found = await readJournal(path, PUBLICATION_JOURNAL);
    if (found === undefined) return journal;
    await checkUnused(found);
    const problem = journal.#restore(found);
    if (restart) journal.#giveUp();
    else if (problem !== undefined) throw invalid(path, problem);
    return journal;
  }

  /** What is known of an item; undefined where nothing was done. */
  item(name: string): ItemRecord | undefined {
    return this.#items.get(name);
  }

  /** The pull request that was opened, if one was. */
  get pullRequest(): OpenedPullRequest | undefined {
    return this.#pullRequest;
  }

  /** What the title of the pull request has that no other has, if it may have been opened; undefined before that. */
  get pullRequestMark(): string | undefined {
    return this.#mark;
  }

  /** Whether a name is one that a publication has given. */
  owns(target: string): boolean {
    const name = basename(target);
    return this.#givenUp.has(name) || [...this.#items.values()].some(({ targets }) => targets.includes(name));
  }

  /** Notes that files of an item are going to be made, and what decides about their bytes. */
  begin(item: string, identity: string, targets: readonly string[]): Promise<void> {
    return this.#note({ kind: "begun", item, identity, targets: targets.map((path) => basename(path)) });
  }

  /** Notes that the files of an item are complete. */
  made(item: string, made: MadeRecord): Promise<void> {
    return this.#note({ kind: "made", item, made });
  }

  /** Notes what an evaluation of an item has found out. */
  evaluated(item: string, evaluated: EvaluatedRecord): Promise<void> {
    return this.#note({ kind: "evaluated", item, evaluated });
  }

  /** Notes the hashes of the files of an item. */
  hashed(item: string, files: readonly HashedFile[]): Promise<void> {
    return this.#note({ kind: "hashed", item, files });
  }

  /** Notes that the repository has the files of an item. */
  committed(item: string, commit: string): Promise<void> {
    return this.#note({ kind: "committed", item, commit });
  }

  /** Notes that a pull request is going to be opened. @returns the mark for its title */
  async openingPullRequest(): Promise<string> {
    const mark = `publication ${randomBytes(8).toString("hex")}`;
    await this.#note({ kind: "opening", mark });
    return mark;
  }

  /** Notes the pull request that further commits go to. */
  openedPullRequest(pullRequest: OpenedPullRequest): Promise<void> {
    return this.#note({ kind: "pull-request", ...pullRequest });
  }

  /** Lets another process write it; noting goes on all the same. */
  async close(): Promise<void> {
    const journal = await this.#journal?.catch(() => undefined);
    this.#journal = undefined;
    if (journal === undefined) return;
    this.#there = { path: this.path, bytes: journal.bytes };
    await journal.close();
  }

  async #note(entry: PublicationEntry): Promise<void> {
    this.#journal ??= this.#open();
    const journal = await this.#journal;
    await journal.append(entry);
    await journal.settle();
    this.#apply(entry);
  }

  #open(): Promise<Journal<PublicationEntry>> {
    if (this.#there !== undefined) return Journal.resume(this.#there);
    const targets = [...this.#givenUp];
    return Journal.begin({
      path: this.path,
      kind: PUBLICATION_JOURNAL,
      identity: { repository: this.#repository },
      entries: targets.length === 0 ? [] : [{ kind: "given-up", targets }],
    });
  }

  /** @returns what is wrong with a journal, if something is; what comes before counts */
  #restore(found: FoundJournal<{ readonly repository: string }, PublicationEntry>): string | undefined {
    const { identity, entries, strangeLine } = found;
    if (identity === undefined) return "it is no journal of a publication that this program knows";
    if (identity.repository !== this.#repository) return `it is about the repository ${identity.repository}`;
    this.#there = found;
    for (const entry of entries) {
      if (!this.#apply(entry)) return `a line of kind "${entry.kind}" does not say how its item began`;
    }
    return strangeLine === undefined ? undefined : `line ${strangeLine} says nothing that this program knows`;
  }

  #giveUp(): void {
    for (const { targets } of this.#items.values()) for (const target of targets) this.#givenUp.add(target);
    this.#items.clear();
    this.#pullRequest = undefined;
    this.#mark = undefined;
    this.#there = undefined;
  }

  /** @returns false for what is about an item that has not begun */
  #apply(entry: PublicationEntry): boolean {
    if (entry.kind === "begun") {
      const { item, identity, targets } = entry;
      this.#items.set(item, { identity, targets });
    } else if (entry.kind === "opening") {
      this.#mark = entry.mark;
    } else if (entry.kind === "given-up") {
      for (const target of entry.targets) this.#givenUp.add(target);
    } else if (entry.kind === "pull-request") {
      const { url, branch } = entry;
      this.#pullRequest = { url, branch };
    } else {
      const { kind: _, item, ...more } = entry;
      const known = this.#items.get(item);
      if (known === undefined) return false;
      this.#items.set(item, { ...known, ...more });
    }
    return true;
  }
}

function invalid(path: string, problem: string): QuernError {
  return new QuernError(
    "PUBLISH_JOURNAL_INVALID",
    `${path}: the journal cannot be used: ${problem}. --restart begins anew.`,
    { subject: { file: path } },
  );
}
