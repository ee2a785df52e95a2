import { mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openCheckpointDirectory } from "@quern/checkpoints/node";
import { type NetworkWaitEvent, openRepository, readHubFile } from "@quern/hub";
import {
  answerStatus,
  finishLate,
  firstOf,
  hangUpOnceDone,
  HubServer,
  isCommit,
  isUpload,
  loseAnswer,
  memoryContent,
  resetUpload,
  storedFile,
  UploadStore,
  writingRoutes,
} from "@quern/hub/testing";
import { convert, planConversion } from "@quern/pipeline";
import { QuernError } from "@quern/tensor";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { dividedCard } from "./card/merge-card.ts";
import {
  type PlanGgufPublicationParams,
  planGgufPublication,
  type PublicationEvent,
  PublicationJournal,
  type PublicationPlan,
  type PublicationReport,
  publish,
} from "./index.ts";

const CHECKPOINT = fileURLToPath(
  new URL("../../../fixtures/golden/llama31-bpe/checkpoint/", import.meta.url),
);
const TOKEN = "hf_publisher";
const ID = "mill/Tiny-GGUF";
const TYPES = ["Q4_K_M", "Q8_0"];
const CONVERSION = {
  threads: 0,
  tool: "quern 1.2.3",
  provenance: { tool: { name: "quern", version: "1.2.3" } },
} as const;
const patience = { retries: 3, retryDelay: 1, stallTimeout: 5000 };

let folder: string;
let store: UploadStore;
let server: HubServer;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-publish-"));
  store = await UploadStore.create();
  server = await HubServer.start({ id: "org/tiny", folder: CHECKPOINT, routes: writingRoutes(store) });
  server.tokens.add(TOKEN);
  store.writers.add(TOKEN);
});
afterEach(async () => {
  await server.stop();
  await store.remove();
  await rm(folder, { recursive: true });
});

type Wishes = Partial<Omit<PlanGgufPublicationParams, "target" | "card">> & {
  readonly types?: readonly string[];
  readonly target?: Partial<PlanGgufPublicationParams["target"]>;
  readonly card?: Partial<PlanGgufPublicationParams["card"]>;
};

async function plan(wishes: Wishes = {}): Promise<PublicationPlan> {
  const { types = TYPES, target, card, ...others } = wishes;
  return planGgufPublication({
    target: {
      access: { endpoint: server.endpoint, token: TOKEN },
      id: ID,
      exists: false,
      isPrivate: false,
      opensPullRequest: false,
      patience,
      ...target,
    },
    outputs: types.map((type) => ({ type })),
    conversion: { checkpoint: await openCheckpointDirectory(CHECKPOINT), ...CONVERSION },
    directory: folder,
    journal: await PublicationJournal.open(folder, ID),
    card: {
      baseModel: "org/tiny",
      commit: "c".repeat(40),
      quantizedBy: "mill",
      settings: [],
      reports: [],
      sourceCard: "---\nlicense: llama3.1\nlicense_link: LICENSE\nlanguage:\n  - en\n  - no\n---\n# Tiny\n",
      ...card,
    },
    ...others,
  });
}

async function run(
  wishes: Wishes = {},
  onEvent?: (event: PublicationEvent) => void,
): Promise<PublicationReport> {
  return publish(await plan(wishes), onEvent && { onEvent });
}

/** Bytes of a file of the repository, as a reader gets them. */
async function read(path: string, revision = "main"): Promise<Buffer> {
  const access = { endpoint: server.endpoint, token: TOKEN };
  const { files } = await openRepository({ reference: { id: ID, revision }, access, patience });
  return Buffer.from(await readHubFile({ location: files.get(path)!, access, patience }));
}

async function card(revision = "main"): Promise<{ text: string; metadata: Record<string, unknown> }> {
  const text = (await read("README.md", revision)).toString();
  return { text, metadata: parse(dividedCard(text).matter!) as Record<string, unknown> };
}

/** What a conversion without a publication makes of the same. */
async function plainFile(type: string): Promise<Buffer> {
  const path = join(folder, "plain", `${type}.gguf`);
  const checkpoint = await openCheckpointDirectory(CHECKPOINT);
  await convert(await planConversion({ checkpoint, outputs: [{ type, path }], ...CONVERSION }));
  const bytes = await readFile(path);
  await rm(join(folder, "plain"), { recursive: true });
  return bytes;
}

const uploads = (): number =>
  server.requests.filter(({ host, method }) => host === "cdn" && method === "PUT").length;
const gguf = async (): Promise<string[]> =>
  (await readdir(folder)).filter((name) => name.includes(".gguf")).sort();

async function errorOf(work: Promise<unknown>): Promise<QuernError> {
  const error = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(error).toBeInstanceOf(Error);
  expect((error as Error).message).not.toContain(TOKEN);
  return error as QuernError;
}

describe("a publication", () => {
  it("makes files, uploads them, and says in the card what they are", async () => {
    const events: PublicationEvent[] = [];
    const report = await run({}, (event) => events.push(event));
    const repository = server.repositories.get(ID)!;
    expect(report).toMatchObject({ repository: ID, branch: "main", commit: repository.head.id });
    expect([...repository.commits.values()].map(({ title }) => title)).toEqual([
      "initial commit",
      "Add Q4_K_M",
      "Add Q8_0",
    ]);
    for (const { item, files } of report.items) {
      expect(files.map(({ path }) => path)).toEqual([files[0]!.path, `${files[0]!.path}.manifest.json`]);
      expect((await read(files[0]!.path)).equals(await plainFile(item))).toBe(true);
    }
    const { text, metadata } = await card();
    expect(metadata).toEqual({
      base_model: "org/tiny",
      base_model_relation: "quantized",
      library_name: "gguf",
      license: "llama3.1",
      license_link: "https://huggingface.co/org/tiny/blob/main/LICENSE",
      language: ["en", "no"],
      quantized_by: "mill",
      tags: ["gguf", "quantized"],
    });
    expect(text).toMatch(
      /^\| \[[^\]]+Q8_0\.gguf\]\(\.\/[^)]+Q8_0\.gguf\) \| Q8_0 \| [\d.]+ MB \| 8\.\d\d \|/m,
    );
    expect(text).toContain(`llama-cli -hf ${ID}:Q4_K_M`);
    expect(text).toContain(`ollama run hf.co/${ID}:Q4_K_M`);
    expect(text).toContain(`org/tiny/tree/${"c".repeat(40)}`);
    const progress = events.flatMap((event) => (event.type === "progress" ? [event] : []));
    expect(progress.at(-1)).toMatchObject({ done: 2 * report.bytes, total: 2 * report.bytes });
    for (const type of TYPES) {
      const news = events.flatMap((event) => ("item" in event && event.item === type ? [event.type] : []));
      expect(news).toEqual(["item:upload", "item:published"]);
    }
  });

  it("has nothing to do the second time, and updates the card when there is more to say", async () => {
    const first = await run();
    const [before, requests] = [uploads(), server.repositories.get(ID)!.commits.size];
    expect(await run()).toMatchObject({ commit: first.commit, items: first.items });
    expect([uploads(), server.repositories.get(ID)!.commits.size]).toEqual([before, requests]);
    await run({ card: { quantizedBy: "mill", settings: [{ name: "--pure", value: "yes" }] } });
    expect((await card()).text).toContain("| --pure | `yes` |");
    expect(uploads()).toBe(before);
  });

  it("replaces nothing that has appeared since it was planned", async () => {
    const planned = await plan({ types: ["Q8_0"] });
    const [path] = planned.items[0]!.item.targets;
    await writeFile(path!, "somebody else's");
    expect((await errorOf(publish(planned))).code).toBe("OUTPUT_EXISTS");
    expect(await readFile(path!, "utf8")).toBe("somebody else's");
  });

  it("adds to what an earlier one has published, and keeps its rows", async () => {
    await run({ types: ["Q8_0"] });
    await run({ types: ["Q4_K_M"] });
    const { text } = await card();
    expect(text.match(/^\| \[/gm)).toHaveLength(2);
    expect(text.indexOf("| Q8_0 |")).toBeLessThan(text.indexOf("| Q4_K_M |"));
  });

  it("keeps what people wrote into the card", async () => {
    await run({ types: ["Q8_0"] });
    const repository = server.repositories.get(ID)!;
    const written = "---\n# ours\nlicense: mit\ntags:\n- mill # stones\n---\n\n# By hand\n\nRead me.\n";
    const files = new Map(repository.head.files);
    files.set("README.md", storedFile("README.md", memoryContent(Buffer.from(written))));
    repository.commit({ files });
    await run({ types: ["Q8_0"] });
    const { text, metadata } = await card();
    expect(text).toContain("# By hand\n\nRead me.\n\n<!-- quern:begin -->\n# Tiny-GGUF");
    expect(text).toMatch(/# ours[\s\S]*- mill # stones/);
    expect(metadata).toMatchObject({
      license: "mit",
      tags: ["mill", "gguf", "quantized"],
      quantized_by: "mill",
    });
  });

  it("knows small files that the Hub keeps as objects of git", async () => {
    store.largeNames = /never/;
    await run({ types: ["Q8_0"] });
    expect(uploads()).toBe(0);
    expect((await plan({ types: ["Q8_0"] })).items[0]!.state).toBe("published");
  });

  it("goes to one pull request", async () => {
    const target = { opensPullRequest: true };
    const report = await run({ target });
    expect(report).toMatchObject({
      branch: "refs/pr/1",
      pullRequest: `${server.endpoint}/${ID}/discussions/1`,
    });
    expect([...server.repositories.get(ID)!.head.files.keys()]).toEqual([".gitattributes"]);
    expect((await card("refs/pr/1")).text.match(/^\| \[/gm)).toHaveLength(2);
    expect(await run({ target })).toMatchObject({ commit: report.commit });
  });

  it.each([
    ["an answer that is lost", hangUpOnceDone],
    ["a request that is lost", loseAnswer],
    ["a gateway that gives up", answerStatus(504)],
  ])("goes to one pull request in spite of %s", async (_name, fault) => {
    server.faults.push(firstOf(1, isCommit, fault));
    const events: PublicationEvent[] = [];
    const target = { opensPullRequest: true };
    const report = await run({ target }, (event) => events.push(event));
    expect(report.branch).toBe("refs/pr/1");
    expect(server.repositories.get(ID)!.pullRequests).toEqual([
      { num: 1, title: expect.stringMatching(/^Add Q4_K_M \(publication [0-9a-f]{16}\)$/) as string },
    ]);
    expect(events.filter(({ type }) => type === "pull-request")).toHaveLength(1);
    expect((await card("refs/pr/1")).text.match(/^\| \[/gm)).toHaveLength(2);
    expect(await run({ target })).toMatchObject({ commit: report.commit });
  });

  /** Resolves when the pull requests of the repository have been asked for so many times. */
  function lookedFor(times: number): Promise<void> {
    let seen = 0;
    return new Promise((resolve) => {
      server.faults.push(({ seen: { path }, response }) => {
        if (!path.endsWith("/discussions") || ++seen !== times) return false;
        response.on("close", resolve);
        return false;
      });
    });
  }

  it("goes to one pull request where the Hub opens it after it was looked for", async () => {
    server.faults.push(firstOf(1, isCommit, finishLate(lookedFor(3))));
    const waits: NetworkWaitEvent[] = [];
    const onWait = (event: NetworkWaitEvent): unknown => waits.push(event);
    const report = await run({ target: { opensPullRequest: true, patience: { ...patience, onWait } } });
    const reason = "whether the pull request was opened is not known";
    expect(waits.length).toBeGreaterThan(2);
    expect(waits).toEqual(waits.map((wait) => ({ ...wait, file: `hf:${ID}`, reason })));
    expect(report.branch).toBe("refs/pr/1");
    expect(report.duplicates).toBeUndefined();
    expect(server.repositories.get(ID)!.pullRequests).toHaveLength(1);
  });

  it("tells of a pull request that the Hub opens after all", async () => {
    server.faults.push(firstOf(1, isCommit, finishLate(lookedFor(6))));
    const target = { opensPullRequest: true };
    const events: PublicationEvent[] = [];
    const report = await run({ target }, (event) => events.push(event));
    const { pullRequests } = server.repositories.get(ID)!;
    expect(new Set(pullRequests.map(({ title }) => title)).size).toBe(1);
    expect(pullRequests).toHaveLength(2);
    expect(new Set([report.pullRequest, ...report.duplicates!])).toEqual(
      new Set([1, 2].map((number) => `${server.endpoint}/${ID}/discussions/${number}`)),
    );
    expect(events.filter(({ type }) => type === "pull-request:duplicate")).toEqual([
      { type: "pull-request:duplicate", url: report.duplicates![0] },
    ]);
    // Everything is in the one.
    expect((await card(report.branch)).text.match(/^\| \[/gm)).toHaveLength(2);
  });

  it("goes to the pull request of a run that ended before it had noted it", async () => {
    const target = { opensPullRequest: true };
    const journal = await PublicationJournal.open(folder, ID);
    journal.openedPullRequest = () => Promise.reject(new Error("killed"));
    await expect(run({ target, journal })).rejects.toThrow("killed");
    const before = uploads();
    const report = await run({ target });
    expect(report.branch).toBe("refs/pr/1");
    expect(server.repositories.get(ID)!.pullRequests).toHaveLength(1);
    // The file of the first type was there.
    expect(uploads() - before).toBe(1);
    expect((await card("refs/pr/1")).text.match(/^\| \[/gm)).toHaveLength(2);
  });

  it("writes again when somebody else's commit comes in between", async () => {
    let done = false;
    server.faults.push((exchange) => {
      if (done || !isCommit(exchange)) return false;
      done = true;
      const repository = server.repositories.get(ID)!;
      const files = new Map(repository.head.files);
      files.set("notes.md", storedFile("notes.md", memoryContent(Buffer.from("notes"))));
      repository.commit({ files, title: "Notes" });
      return false;
    });
    await run({ types: ["Q8_0"] });
    const { head } = server.repositories.get(ID)!;
    expect([...head.files.keys()].some((path) => path.endsWith("Q8_0.gguf"))).toBe(true);
    expect(head.files.has("notes.md")).toBe(true);
  });
});

describe("local files", () => {
  it("go once the repository holds them, and are not made again", async () => {
    const events: PublicationEvent[] = [];
    const report = await run({ deletesLocal: true }, (event) => events.push(event));
    expect(events.filter(({ type }) => type === "item:deleted")).toHaveLength(2);
    expect(await gguf()).toEqual([]);
    const again = await plan({ deletesLocal: true });
    expect(again.items.map(({ state }) => state)).toEqual(["published", "published"]);
    expect(again.groups).toEqual([]);
    expect((await publish(again)).items).toEqual(report.items);
  });

  it("stay when the repository is not seen to hold them", async () => {
    server.faults.push(({ seen }) => {
      // Somebody takes the file out again at once.
      const repository = server.repositories.get(ID);
      if (!seen.path.includes("/tree/") || repository?.head.title !== "Add Q8_0") return false;
      const { head } = repository;
      repository.commits.set(head.id, { ...head, files: new Map() });
      return false;
    });
    const error = await errorOf(run({ types: ["Q8_0"], deletesLocal: true }));
    expect(error.code).toBe("PUBLISH_NOT_CONFIRMED");
    expect(await gguf()).toHaveLength(2);
  });

  it("that were there before are not taken for ours", async () => {
    const [name] = (await plan({ types: ["Q8_0"] })).items[0]!.item.targets;
    await writeFile(name!, "mine");
    expect(await errorOf(plan({ types: ["Q8_0"] }))).toMatchObject({ code: "OUTPUT_EXISTS" });
    expect(await readFile(name!, "utf8")).toBe("mine");
    await run({ types: ["Q8_0"], force: true });
    expect((await stat(name!)).size).toBeGreaterThan(4);
  });
});

describe("going on", () => {
  it("sends what was made before a failure, and makes nothing twice", async () => {
    server.faults.push(firstOf(99, isCommit, answerStatus(503)));
    const error = await errorOf(run());
    expect(error.code).toBe("HUB_REQUEST_FAILED");
    server.faults.length = 0;
    const before = uploads();
    const next = await plan();
    expect(next.items[0]!.state).toBe("made");
    await publish(next);
    // The file of the first type had arrived already.
    expect(uploads() - before).toBe(1);
    expect(server.repositories.get(ID)!.head.files.size).toBe(6);
  });

  it("goes on with files that were named, and not yet noted", async () => {
    const journal = await PublicationJournal.open(folder, ID);
    const made = journal.made.bind(journal);
    let crashed = false;
    journal.made = async (...args) => {
      if (crashed) return made(...args);
      crashed = true;
      throw new QuernError("OUTPUT_DISK_FULL", "the disk is full");
    };
    expect(await errorOf(run({ types: ["Q8_0"], journal }))).toMatchObject({ code: "OUTPUT_DISK_FULL" });
    expect(await gguf()).toHaveLength(2);
    const events: PublicationEvent[] = [];
    const next = await plan({ types: ["Q8_0"] });
    expect(next.items[0]!.state).toBe("planned");
    await publish(next, { onEvent: (event) => events.push(event) });
    const name = (await gguf()).find((file) => file.endsWith(".gguf"))!;
    expect((await read(name)).equals(await plainFile("Q8_0"))).toBe(true);
    expect(await gguf()).toEqual([name, `${name}.manifest.json`]);
  });

  it.each([
    ["vanishes", (path: string) => rm(path)],
    ["is cut off", (path: string) => truncate(path, 1000)],
  ])("says so when a file %s on the way, and makes it again", async (_what, damage) => {
    let work = Promise.resolve();
    store.partSize = 50_000;
    server.faults.push(
      (exchange) => {
        if (isUpload(exchange)) work = work.then(() => damage(name)).catch(() => undefined);
        return false;
      },
      firstOf(1, isUpload, answerStatus(503)),
    );
    const [name] = (await plan({ types: ["Q8_0"] })).items[0]!.item.targets as [string];
    const error = await errorOf(run({ types: ["Q8_0"] }));
    expect(error).toMatchObject({ code: "UPLOAD_FILE_UNREADABLE" });
    expect(error.message).toContain(name.split("/").at(-1));
    server.faults.length = 0;
    await work;
    await run({ types: ["Q8_0"] });
    expect((await read(name.split("/").at(-1)!)).equals(await plainFile("Q8_0"))).toBe(true);
  });

  it("survives busy servers and connections that break", async () => {
    store.partSize = 50_000;
    server.faults.push(firstOf(3, isUpload, resetUpload), firstOf(2, isUpload, answerStatus(503)));
    const report = await run({ types: ["Q4_K_M"] });
    const { path } = report.items[0]!.files[0]!;
    expect((await read(path)).equals(await plainFile("Q4_K_M"))).toBe(true);
  });

  it("reads a journal whose last line broke off", async () => {
    await run({ types: ["Q8_0"] });
    const { path } = await PublicationJournal.open(folder, ID);
    await truncate(path, (await readFile(path)).lastIndexOf('"committed"') + 3);
    // The commit is not known any more: it is found.
    const before = uploads();
    const commits = server.repositories.get(ID)!.commits.size;
    const next = await plan({ types: ["Q8_0"] });
    expect(next.items[0]!.state).toBe("made");
    await publish(next);
    expect(uploads()).toBe(before);
    expect(server.repositories.get(ID)!.commits.size).toBe(commits);
    expect((await plan({ types: ["Q8_0"] })).items[0]!.state).toBe("published");
  });

  it("refuses a journal of something else", async () => {
    const { path } = await PublicationJournal.open(folder, ID);
    for (const line of ['{"kind":"other"}', "nothing", "null"]) {
      await writeFile(path, `${line}\n`);
      expect(await errorOf(plan()), line).toMatchObject({ code: "PUBLISH_JOURNAL_INVALID" });
    }
  });

  it("refuses another publication that is not finished, and replaces one that is", async () => {
    server.faults.push(firstOf(99, isCommit, answerStatus(503)));
    await errorOf(run({ types: ["Q8_0"] }));
    server.faults.length = 0;
    const conversion = {
      checkpoint: await openCheckpointDirectory(CHECKPOINT),
      ...CONVERSION,
      tool: "quern 1.2.4",
    };
    expect(await errorOf(plan({ types: ["Q8_0"], conversion }))).toMatchObject({ code: "PUBLISH_OTHER_RUN" });
    const journal = await PublicationJournal.open(folder, ID, { restart: true });
    await run({ types: ["Q8_0"], conversion, journal });
    // Finished: another version may follow.
    const next = await plan({ types: ["Q8_0"] });
    expect(next.items[0]!.state).toBe("planned");
    await publish(next);
  });

  it("stops when told to", async () => {
    const left = new AbortController();
    const work = publish(await plan(), {
      signal: left.signal,
      onEvent: ({ type }) => type === "item:upload" && left.abort(new Error("enough")),
    });
    await expect(work).rejects.toThrow("enough");
    expect((await plan()).items.map(({ state }) => state)).not.toContain("published");
    await run();
  });
});
