import { randomBytes } from "node:crypto";
import { appendFileSync, closeSync, fstatSync, fsyncSync, openSync, truncateSync } from "node:fs";
import { mkdir, readFile, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { QuernError } from "@quern/tensor";
import { reportingAs } from "@quern/tensor/node";
import type { MeasuredFigures, Measurement } from "./card/measured.ts";
import type { MadeRecord } from "./plan.ts";

/** A file that was hashed, by its path in the repository. */
export interface HashedFile {
  readonly path: string;
  readonly bytes: number;
  /** Of the content. Lower-case hexadecimal digits, as the other. */
  readonly sha256: string;
  /** Of the git object; absent of large files, which the Hub does not know by it. */
  readonly gitHash?: string;
}

/** What an evaluation has found out about an item. */
export interface EvaluatedRecord {
  /** Digest of what decided about the figures beside the files. */
  readonly identity: string;
  readonly figures: MeasuredFigures;
  readonly measurement: Measurement;
}

type Line =
  | { readonly kind: "publication"; readonly version: 1; readonly repository: string }
  /** The names of the item were free, or were those of an earlier publication: what bears them from now on is this item, complete. */
  | { readonly kind: "begun"; readonly item: string; readonly identity: string; readonly targets: string[] }
  /** Names that an earlier publication gave, which was given up. */
  | { readonly kind: "given-up"; readonly targets: readonly string[] }
  | { readonly kind: "made"; readonly item: string; readonly made: MadeRecord }
  | { readonly kind: "evaluated"; readonly item: string; readonly evaluated: EvaluatedRecord }
  | { readonly kind: "hashed"; readonly item: string; readonly files: readonly HashedFile[] }
  | { readonly kind: "committed"; readonly item: string; readonly commit: string }
  /** A request to open a pull request may have been sent: its title has this mark. */
  | { readonly kind: "opening"; readonly mark: string }
  | { readonly kind: "pull-request"; readonly url: string; readonly branch: string };

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

/**
 * What a publication has done, in a file beside the files that it makes: lines of JSON, each on disk before the work goes on. A last line
 * that broke off counts for nothing.
 */
export class PublicationJournal {
  readonly path: string;
  readonly #repository: string;
  readonly #items = new Map<string, ItemRecord>();
  #pullRequest: { readonly url: string; readonly branch: string } | undefined;
  #mark: string | undefined;
  readonly #givenUp = new Set<string>();
  #isNew = true;
  /** Length of the whole lines, where one behind them broke off. */
  #tornAt: number | undefined;

  private constructor(path: string, repository: string) {
    this.path = path;
    this.#repository = repository;
  }

  /**
   * Reads the journal of a repository's publication; there is none at first.
   *
   * @param folder That of the files.
   * @throws QuernError `PUBLISH_JOURNAL_INVALID`
   */
  static async open(folder: string, repository: string): Promise<PublicationJournal> {
    const path = join(folder, `${repository.replaceAll("/", "--")}.publication.jsonl`);
    const journal = new PublicationJournal(path, repository);
    const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return "";
      throw invalid(path, error.message, error);
    });
    const whole = text.slice(0, text.lastIndexOf("\n") + 1);
    for (const line of whole.split("\n")) if (line !== "") journal.#read(line);
    if (whole !== text) journal.#tornAt = Buffer.byteLength(whole);
    return journal;
  }

  /** What is known of an item; undefined where nothing was done. */
  item(name: string): ItemRecord | undefined {
    return this.#items.get(name);
  }

  /** The pull request that was opened, if one was. */
  get pullRequest(): { readonly url: string; readonly branch: string } | undefined {
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
  async begin(item: string, identity: string, targets: readonly string[]): Promise<void> {
    await this.#append({ kind: "begun", item, identity, targets: targets.map((path) => basename(path)) });
  }

  /** Notes that the files of an item are complete. */
  made(item: string, made: MadeRecord): Promise<void> {
    return this.#append({ kind: "made", item, made });
  }

  /** Notes what an evaluation of an item has found out. */
  evaluated(item: string, evaluated: EvaluatedRecord): Promise<void> {
    return this.#append({ kind: "evaluated", item, evaluated });
  }

  /** Notes the hashes of the files of an item. */
  hashed(item: string, files: readonly HashedFile[]): Promise<void> {
    return this.#append({ kind: "hashed", item, files });
  }

  /** Notes that the repository has the files of an item. */
  committed(item: string, commit: string): Promise<void> {
    return this.#append({ kind: "committed", item, commit });
  }

  /** Notes that a pull request is going to be opened. @returns the mark for its title */
  async openingPullRequest(): Promise<string> {
    const mark = `publication ${randomBytes(8).toString("hex")}`;
    await this.#append({ kind: "opening", mark });
    return mark;
  }

  /** Notes the pull request that further commits go to. */
  openedPullRequest(pullRequest: { readonly url: string; readonly branch: string }): Promise<void> {
    return this.#append({ kind: "pull-request", ...pullRequest });
  }

  /** Forgets what was done, but for the names that were given: what bears them may be replaced. */
  async giveUp(): Promise<void> {
    const targets = [...this.#givenUp, ...[...this.#items.values()].flatMap((item) => item.targets)];
    await rm(this.path, { force: true });
    this.#items.clear();
    this.#pullRequest = undefined;
    this.#mark = undefined;
    this.#isNew = true;
    this.#tornAt = undefined;
    if (targets.length > 0) await this.#append({ kind: "given-up", targets });
  }

  async #append(line: Line): Promise<void> {
    await reportingAs(this.path, async () => {
      if (this.#isNew) {
        await mkdir(dirname(this.path), { recursive: true });
        this.#write({ kind: "publication", version: 1, repository: this.#repository });
        this.#isNew = false;
      }
      this.#write(line);
    });
    this.#apply(line);
  }

  /** What may not be on disk as a whole counts for nothing, as where a process has ended in the midst of it. */
  #write(line: Line): void {
    if (this.#tornAt !== undefined) truncateSync(this.path, this.#tornAt);
    this.#tornAt = undefined;
    const file = openSync(this.path, "a");
    const { size } = fstatSync(file);
    try {
      appendFileSync(file, `${JSON.stringify(line)}\n`);
      fsyncSync(file);
    } catch (error) {
      this.#tornAt = size;
      throw error;
    } finally {
      closeSync(file);
    }
  }

  #read(text: string): void {
    let line: Line | null;
    try {
      line = JSON.parse(text) as Line | null;
    } catch (cause) {
      throw invalid(this.path, "a line is no JSON", cause);
    }
    if (typeof line !== "object" || line === null) throw invalid(this.path, "a line is no object");
    if (this.#isNew) {
      if (line.kind !== "publication" || line.version !== 1) {
        throw invalid(this.path, "it is no journal of a publication that this program knows");
      }
      if (line.repository !== this.#repository) {
        throw invalid(this.path, `it is about the repository ${line.repository}`);
      }
      this.#isNew = false;
    } else this.#apply(line);
  }

  #apply(line: Line): void {
    if (line.kind === "begun") {
      const { item, identity, targets } = line;
      this.#items.set(item, { identity, targets });
    } else if (line.kind === "opening") {
      this.#mark = line.mark;
    } else if (line.kind === "given-up") {
      for (const target of line.targets) this.#givenUp.add(target);
    } else if (line.kind === "pull-request") {
      const { kind: _, ...pullRequest } = line;
      this.#pullRequest = pullRequest;
    } else if (line.kind !== "publication") {
      const { kind: _, item, ...more } = line;
      const known = this.#items.get(item);
      if (known === undefined) throw invalid(this.path, `it does not say how ${item} began`);
      this.#items.set(item, { ...known, ...more });
    }
  }
}

function invalid(path: string, problem: string, cause?: unknown): QuernError {
  return new QuernError(
    "PUBLISH_JOURNAL_INVALID",
    `${path}: the journal cannot be used: ${problem}. --restart begins anew.`,
    { subject: { file: path }, cause },
  );
}
