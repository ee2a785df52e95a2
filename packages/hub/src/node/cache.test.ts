import { createHash } from "node:crypto";
import {
  appendFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  symlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type HubAccess, hubAccess } from "../access.ts";
import type { HubFileLocation } from "../hub-file.ts";
import { type HubRepository, openRepository } from "../open-repository.ts";
import { firstOf, HubServer, isWeights, resetMidBody, slowTrickle } from "../testing/index.ts";
import { findCachedFile } from "./cached-file.ts";
import { keepRepository, openCachedRepository } from "./cached-repository.ts";
import { keepHubFile } from "./keep-file.ts";
import { openStoredFile, readStoredFile } from "./open-stored-file.ts";

const folder = fileURLToPath(new URL("../../../../fixtures/golden/llama31-bpe/checkpoint/", import.meta.url));
const SHARD = "model-00001-of-00003.safetensors";
const patience = { retries: 3, retryDelay: 1, stallTimeout: 1000 };
const reference = { id: "org/tiny" };

let server: HubServer;
let home: string;
let access: HubAccess;
let repository: HubRepository;
let location: HubFileLocation;
let bytes: Buffer;

beforeEach(async () => {
  server = await HubServer.start({ id: "org/tiny", folder });
  home = await mkdtemp(join(tmpdir(), "quern-cache-"));
  access = hubAccess({ endpoint: server.endpoint });
  repository = await openRepository({ reference, access, patience });
  location = repository.files.get(SHARD)!;
  bytes = await readFile(join(folder, SHARD));
});
afterEach(async () => {
  await server.stop();
  await rm(home, { recursive: true });
});

const blobs = (): string => join(home, "models--org--tiny", "blobs");
const partial = (): string => join(blobs(), `${location.etag}.incomplete`);
const keep = (more: Partial<Parameters<typeof keepHubFile>[0]> = {}): Promise<string> =>
  keepHubFile({ location, access, cache: { folder: home }, patience, ...more });

async function leavePartial(content: Uint8Array): Promise<void> {
  await mkdir(blobs(), { recursive: true });
  await writeFile(partial(), content);
}

/** Bytes of the shard that were asked for since the last look. */
function bytesAsked(): number {
  const ranges = server.requests.splice(0).filter(({ host }) => host === "cdn");
  return ranges.reduce((sum, { range }) => {
    const [, first, last] = /(\d+)-(\d+)/.exec(range!)!.map(Number);
    return sum + last! - first! + 1;
  }, 0);
}

describe("a file that is kept", () => {
  it("lies where all tools look for it", async () => {
    const seen: number[] = [];
    const path = await keep({ onBytes: (done) => seen.push(done) });
    expect(path).toBe(join(blobs(), location.etag));
    expect(
      createHash("sha256")
        .update(await readFile(path))
        .digest("hex"),
    ).toBe(location.etag);
    const link = join(home, "models--org--tiny", "snapshots", location.commit, SHARD);
    expect(await readlink(link)).toBe(`../../blobs/${location.etag}`);
    expect(await readdir(blobs())).toEqual([location.etag]);
    expect(await findCachedFile({ cache: { folder: home }, location })).toBe(path);
    expect(seen.at(-1)).toBe(bytes.length);
    bytesAsked();
    await keep();
    expect(bytesAsked()).toBe(0);
  });

  it("in a folder of the repository has a link that leads up as far", async () => {
    const config = { ...repository.files.get("config.json")!, path: "sub/folder/config.json" };
    await keepHubFile({ location: { ...config, path: "config.json" }, access, cache: { folder: home } });
    await keepHubFile({ location: config, access, cache: { folder: home } });
    const link = join(home, "models--org--tiny", "snapshots", location.commit, config.path);
    expect(await readlink(link)).toBe(`../../../../blobs/${config.etag}`);
    expect(await readFile(link)).toEqual(await readFile(join(folder, "config.json")));
  });

  it("goes on behind what another run has left", async () => {
    await leavePartial(bytes.subarray(0, 100_000));
    bytesAsked();
    await keep();
    expect(bytesAsked()).toBe(bytes.length - 100_000);
    expect(Buffer.compare(await readFile(join(blobs(), location.etag)), bytes)).toBe(0);
  });

  it.each([
    ["other bytes", (): Uint8Array => Buffer.alloc(100_000)],
    ["more than the file has", (): Uint8Array => Buffer.concat([bytes, bytes])],
    ["all bytes, one of them wrong", (): Uint8Array => Buffer.concat([Buffer.of(255), bytes.subarray(1)])],
  ])("begins again behind %s", async (_, content) => {
    await leavePartial(content());
    await keep();
    expect(Buffer.compare(await readFile(join(blobs(), location.etag)), bytes)).toBe(0);
    expect(await readdir(blobs())).toEqual([location.etag]);
  });

  it("is not taken for complete when its bytes are others than the hash says", async () => {
    server.repository.damageFile(SHARD);
    await expect(keep()).rejects.toMatchObject({ code: "HUB_FILE_CORRUPT" });
    expect(await readdir(blobs())).toEqual([]);
    expect(await findCachedFile({ cache: { folder: home }, location })).toBeUndefined();
  });

  it("survives faults of the server", async () => {
    server.faults.push(firstOf(2, isWeights, resetMidBody), firstOf(1, isWeights, slowTrickle));
    await keep();
    expect(Buffer.compare(await readFile(join(blobs(), location.etag)), bytes)).toBe(0);
  });

  it("comes once when several want it", async () => {
    bytesAsked();
    await Promise.all([keep(), keep(), keep()]);
    expect(bytesAsked()).toBe(bytes.length);
  });

  it("is not waited for when whoever brought it is gone", async () => {
    const lock = join(home, ".locks", "models--org--tiny", `${location.etag}.quern.lock`);
    await mkdir(dirname(lock), { recursive: true });
    await writeFile(lock, "");
    const longAgo = new Date(Date.now() - 60_000);
    await utimes(lock, longAgo, longAgo);
    await keep();
    expect(await readdir(dirname(lock))).toEqual([]);
  });

  it("leaves what has come when it is stopped, promptly", async () => {
    await leavePartial(bytes.subarray(0, 100_000));
    server.faults.push((exchange) => isWeights(exchange) && slowTrickle(exchange));
    const controller = new AbortController();
    const stopped = keep({ signal: controller.signal, patience: { ...patience, stallTimeout: 60_000 } });
    setTimeout(() => controller.abort(), 50);
    await expect(stopped).rejects.toMatchObject({ code: "SOURCE_ABORTED" });
    expect((await readFile(partial())).length).toBe(100_000);
  });

  it("that cannot be kept is said to be so", async () => {
    await writeFile(join(home, "models--org--tiny"), "a file in the way");
    await expect(keep()).rejects.toMatchObject({ code: "HUB_CACHE_UNWRITABLE" });
  });
});

describe("without a network", () => {
  const cached = (text: { id: string; revision?: string } = reference): Promise<HubRepository> =>
    openCachedRepository({ reference: text, access, cache: { folder: home, offline: true } });

  it("a repository is what it was when it was kept", async () => {
    await keepRepository({ reference, repository, cache: { folder: home } });
    await keepRepository({
      reference: { id: "org/tiny", revision: "refs/pr/1" },
      repository,
      cache: { folder: home },
    });
    await server.stop();
    for (const revision of [undefined, "main", "refs/pr/1", repository.commit]) {
      const { commit, files } = await cached({ id: "org/tiny", ...(revision && { revision }) });
      expect(commit).toBe(repository.commit);
      expect(Object.fromEntries(files)).toEqual(Object.fromEntries(repository.files));
    }
    await expect(cached({ id: "org/tiny", revision: "v2" })).rejects.toMatchObject({
      code: "HUB_NOT_CACHED",
    });
    await expect(cached({ id: "org/other" })).rejects.toMatchObject({ code: "HUB_NOT_CACHED" });
  });

  it("a repository without a listing has the files that are there", async () => {
    await keep();
    const refs = join(home, "models--org--tiny", "refs");
    await mkdir(refs);
    await appendFile(join(refs, "main"), repository.commit);
    await symlink(
      "../../blobs/nowhere",
      join(home, "models--org--tiny", "snapshots", location.commit, "config.json"),
    );
    const found = await cached();
    expect([...found.files.values()]).toEqual([location]);
    expect(found.partial).toBe(true);
    await keepRepository({ reference, repository, cache: { folder: home } });
    expect(await cached()).not.toHaveProperty("partial");
  });

  it("a listing that others have damaged is not believed", async () => {
    await keepRepository({ reference, repository, cache: { folder: home } });
    const tree = join(home, "models--org--tiny", "trees", `${repository.commit}.json`);
    const files = { "../../x": { size: 1, blob_id: "0".repeat(40) } };
    for (const text of ["{", JSON.stringify({ format_version: 1, files })]) {
      await writeFile(tree, text);
      await expect(cached()).rejects.toMatchObject({ code: "HUB_NOT_CACHED" });
    }
  });

  it("a file that is missing is named, and nothing is asked", async () => {
    const reading = { access, cache: { folder: home, offline: true }, patience };
    server.requests.length = 0;
    const missing = { code: "HUB_NOT_CACHED", subject: { file: `hf:org/tiny/${SHARD}` } };
    await expect(openStoredFile({ location, reading })).rejects.toMatchObject(missing);
    await expect(readStoredFile({ location, reading })).rejects.toMatchObject(missing);
    expect(server.requests).toEqual([]);
  });
});
