import { randomFillSync } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { QuernError } from "@quern/tensor";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type HubAccess, hubAccess } from "../../access.ts";
import { openRepository } from "../../open-repository.ts";
import { readHubFile } from "../../read-hub-file.ts";
import {
  answerStatus,
  everyNth,
  firstOf,
  hangUpOnceDone,
  HubServer,
  isCommit,
  isUpload,
  loseAnswer,
  resetUpload,
  UploadStore,
  writingRoutes,
} from "../../testing/index.ts";
import {
  checkWriter,
  type CommitEvent,
  commitFiles,
  type CommittedFiles,
  createRepository,
  findPullRequests,
  hashFile,
} from "./index.ts";

const WRITER = "hf_writer";
const READER = "hf_reader";
const ID = "mill/tiny-GGUF";
const patience = { retries: 4, retryDelay: 1, stallTimeout: 2000 };
const PART = 64 * 1024;

let folder: string;
let store: UploadStore;
let server: HubServer;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-upload-"));
  store = await UploadStore.create();
  server = await HubServer.start({ id: "org/tiny", routes: writingRoutes(store) });
  server.tokens.add(WRITER).add(READER);
  store.writers.add(WRITER);
});
afterEach(async () => {
  await server.stop();
  await store.remove();
  await rm(folder, { recursive: true });
});

function access(token: string | undefined = WRITER): HubAccess {
  return hubAccess({ endpoint: server.endpoint, token });
}

async function randomFile(name: string, size: number): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, randomFillSync(Buffer.alloc(size)));
  return path;
}

/** Uploads one file and a text. */
function upload(
  file: string,
  more: Partial<Parameters<typeof commitFiles>[0]> = {},
): Promise<CommittedFiles> {
  return commitFiles({
    access: access(),
    id: ID,
    title: "Add a file",
    files: [
      { path: "model.gguf", content: { file } },
      { path: "README.md", content: { text: "# Tiny\n" } },
    ],
    patience,
    ...more,
  });
}

/** Hash of a large file, and text of the other, as a reader gets them. */
async function readBack(revision = "main"): Promise<{ hash: string; text: string }> {
  const { files } = await openRepository({ reference: { id: ID, revision }, access: access(), patience });
  const read = async (path: string): Promise<Uint8Array> =>
    readHubFile({ location: files.get(path)!, access: access(), patience });
  const path = join(folder, "read-back");
  await writeFile(path, await read("model.gguf"));
  return { hash: (await hashFile(path)).sha256, text: new TextDecoder().decode(await read("README.md")) };
}

async function errorOf(work: Promise<unknown>): Promise<QuernError> {
  const error = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(error).toBeInstanceOf(Error);
  expect((error as Error).message).not.toContain(WRITER);
  expect((error as Error).message).not.toContain("X-Signature");
  return error as QuernError;
}

const uploads = (): number =>
  server.requests.filter(({ host, method }) => host === "cdn" && method === "PUT").length;

describe("a repository", () => {
  it("is created once", async () => {
    expect(await checkWriter({ access: access(), id: ID })).toEqual({ name: "miller" });
    expect(await createRepository({ access: access(), id: ID, isPrivate: true })).toBe(true);
    expect(server.repositories.get(ID)!.isPrivate).toBe(true);
    expect(await createRepository({ access: access(), id: ID })).toBe(false);
  });

  it("needs a token that may write", async () => {
    const none = await errorOf(checkWriter({ access: hubAccess({ endpoint: server.endpoint }), id: ID }));
    expect(none).toMatchObject({ code: "HUB_UNAUTHORIZED" });
    expect(none.message).toMatch(/role "write".*HF_TOKEN/);
    const reader = await errorOf(checkWriter({ access: access(READER), id: ID }));
    expect(reader).toMatchObject({ code: "HUB_UNAUTHORIZED" });
    expect(reader.message).toMatch(/role "write".*write to mill/);
    const create = await errorOf(createRepository({ access: access(READER), id: ID }));
    expect(create.message).toMatch(/may not write here.*You have read access only/);
    const unknown = await errorOf(createRepository({ access: access("hf_nobody"), id: ID, patience }));
    expect(unknown.message).toMatch(/does not accept the token/);
  });

  it("must be there for a commit", async () => {
    const file = await randomFile("a", 10);
    expect(await errorOf(upload(file))).toMatchObject({ code: "HUB_REPOSITORY_NOT_FOUND" });
  });
});

describe.each([
  ["whole", 5 * 10 ** 9],
  ["in parts", PART],
])("a file that is uploaded %s", (_, partSize) => {
  let file: string;
  beforeEach(async () => {
    store.partSize = partSize;
    file = await randomFile("model.gguf", 5 * PART + 7);
    await createRepository({ access: access(), id: ID });
  });

  it("is what is read back, and its progress is told", async () => {
    const events: CommitEvent[] = [];
    const { commit } = await upload(file, { onEvent: (event) => events.push(event) });
    expect(server.repositories.get(ID)!.head).toMatchObject({ id: commit, title: "Add a file" });
    expect(await readBack()).toEqual({ hash: (await hashFile(file)).sha256, text: "# Tiny\n" });
    const steps = events.filter((event) => event.type === "upload:progress" && event.path === "model.gguf");
    expect(steps.length).toBeGreaterThan(3);
    expect(steps.at(-1)).toMatchObject({ done: 5 * PART + 7, total: 5 * PART + 7 });
    expect(events).toContainEqual({ type: "upload:hash", path: "model.gguf" });
    expect(events.at(-1)?.type).not.toBe("upload:hash");
  });

  it("is not sent again when the Hub has it", async () => {
    await upload(file);
    const before = uploads();
    await upload(file, { files: [{ path: "copy.gguf", content: { file } }] });
    expect(uploads()).toBe(before);
    expect(server.repositories.get(ID)!.head.files.has("copy.gguf")).toBe(true);
  });

  it.each([
    ["a busy host of files", isUpload, answerStatus(503)],
    ["a host of files that asks to wait", isUpload, answerStatus(429, { "retry-after": "0" })],
    ["connections that break", isUpload, resetUpload],
    ["answers that are lost", isUpload, loseAnswer],
  ])("arrives in spite of %s, and only the part is repeated", async (_name, matches, fault) => {
    server.faults.push(firstOf(2, matches, fault));
    await upload(file);
    expect((await readBack()).hash).toBe((await hashFile(file)).sha256);
    expect(uploads()).toBe((partSize === PART ? 6 : 1) + 2);
  });

  it.each([
    ["a busy Hub", everyNth(2, ({ seen }) => seen.method === "POST", answerStatus(502))],
    ["commits of others", firstOf(2, isCommit, answerStatus(412))],
    ["a commit whose answer is lost", firstOf(1, isCommit, loseAnswer)],
  ])("arrives in spite of %s", async (_name, fault) => {
    server.faults.push(fault);
    await upload(file);
    expect((await readBack()).hash).toBe((await hashFile(file)).sha256);
  });

  it("asks for other addresses when they have expired", async () => {
    server.faults.push(
      firstOf(1, isUpload, () => {
        server.expireRedirects();
        return false;
      }),
    );
    await upload(file);
    expect((await readBack()).hash).toBe((await hashFile(file)).sha256);
  });

  it("that was sent before a commit failed is not sent again", async () => {
    server.faults.push(firstOf(9, isCommit, answerStatus(503)));
    expect(await errorOf(upload(file))).toMatchObject({ code: "HUB_REQUEST_FAILED" });
    server.faults.length = 0;
    const before = uploads();
    await upload(file);
    expect(uploads()).toBe(before);
    expect((await readBack()).hash).toBe((await hashFile(file)).sha256);
  });

  it("goes to a pull request", async () => {
    const { head } = server.repositories.get(ID)!;
    const { pullRequest } = await upload(file, { openPullRequest: true });
    expect(pullRequest).toEqual({
      url: `${server.endpoint}/${ID}/discussions/1`,
      branch: "refs/pr/1",
    });
    expect(server.repositories.get(ID)!.head).toBe(head);
    expect((await readBack("refs/pr/1")).hash).toBe((await hashFile(file)).sha256);
    const more = { branch: "refs/pr/1", files: [{ path: "README.md", content: { text: "# More\n" } }] };
    await upload(file, more);
    expect(await readBack("refs/pr/1")).toMatchObject({ text: "# More\n" });
  });

  it.each([
    ["is lost", hangUpOnceDone, 1],
    ["is lost before anything was done", loseAnswer, 0],
    ["is that of a gateway", answerStatus(504), 0],
  ])("opens no second pull request when an answer %s", async (_name, fault, opened) => {
    server.faults.push(firstOf(1, isCommit, fault));
    const mark = "upload 0123456789abcdef";
    const work = upload(file, { openPullRequest: true, title: `Add a file (${mark})` });
    expect(await errorOf(work)).toMatchObject({ code: "HUB_COMMIT_UNCERTAIN" });
    expect(server.requests.filter(({ path }) => path.includes("/commit/")).length).toBe(1);
    expect(server.repositories.get(ID)!.pullRequests).toHaveLength(opened);
    // On a page behind the first.
    for (const name of ["one", "two", "three"]) {
      const more = { path: "README.md", content: { text: name } };
      await upload(file, { openPullRequest: true, title: `Add ${name}`, files: [more] });
    }
    const found = await findPullRequests({ access: access(), id: ID, mark, patience });
    expect(found).toEqual(
      opened === 0 ? [] : [{ url: `${server.endpoint}/${ID}/discussions/1`, branch: "refs/pr/1" }],
    );
  });

  it("says so when a listing of pull requests is none", async () => {
    for (const answer of ["[]", "null", "<html>", '{"count":1,"start":0,"discussions":[{"num":"1"}]}']) {
      server.faults.splice(0, 1, ({ seen, response }) => {
        if (!seen.path.endsWith("/discussions")) return false;
        response.writeHead(200).end(answer);
        return true;
      });
      const work = findPullRequests({ access: access(), id: ID, mark: "x", patience });
      expect(await errorOf(work)).toMatchObject({ code: "HUB_RESPONSE_INVALID" });
    }
  });
});

it("adds to no other commit than was asked for", async () => {
  await createRepository({ access: access(), id: ID });
  const file = await randomFile("a.gguf", 10);
  const { id } = server.repositories.get(ID)!.head;
  await upload(file, { parent: id });
  expect(await errorOf(upload(file, { parent: id }))).toMatchObject({ code: "HUB_CONFLICT" });
});

it("stops when it is told to, and says what cannot be read", async () => {
  await createRepository({ access: access(), id: ID });
  const file = await randomFile("a.gguf", 10 * PART);
  const left = new AbortController();
  const onEvent = ({ type }: CommitEvent): void => {
    if (type === "upload:progress") left.abort(new Error("enough"));
  };
  await expect(upload(file, { signal: left.signal, onEvent })).rejects.toThrow("enough");
  expect(await errorOf(upload(join(folder, "none")))).toMatchObject({ code: "UPLOAD_FILE_UNREADABLE" });
});
