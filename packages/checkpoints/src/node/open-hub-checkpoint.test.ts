import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { hubAccess } from "@quern/hub";
import { HubServer } from "@quern/hub/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openCheckpointDirectory } from "./open-checkpoint-directory.ts";
import { type HubCheckpointOptions, openHubCheckpoint } from "./open-hub-checkpoint.ts";
import { localPaths, remoteBytes } from "./shard-locations.ts";
import { ShardReader } from "./shard-reader.ts";

const golden = fileURLToPath(new URL("../../../../fixtures/golden/llama31-bpe/checkpoint", import.meta.url));
const SMALL_TENSOR = "model.norm.weight";
const patience = { retries: 2, retryDelay: 1 };

let temporary: string;
const servers: HubServer[] = [];
beforeEach(async () => {
  temporary = await mkdtemp(join(tmpdir(), "quern-hub-"));
});
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop()));
  await rm(temporary, { recursive: true });
});

async function serve(folder: string = golden): Promise<HubServer> {
  const server = await HubServer.start({ id: "org/tiny", folder });
  servers.push(server);
  return server;
}

function options(server: HubServer, more: Partial<HubCheckpointOptions> = {}): HubCheckpointOptions {
  return { access: hubAccess({ endpoint: server.endpoint }), patience, ...more };
}

describe("openHubCheckpoint", () => {
  it("sees what the folder holds", async () => {
    const server = await serve();
    const remote = await openHubCheckpoint("hf:org/tiny", options(server));
    const local = await openCheckpointDirectory(golden);
    expect(remote).toMatchObject({
      name: "tiny",
      location: `${server.endpoint}/org/tiny/tree/${server.repository.head.id}`,
      totalBytes: local.totalBytes,
    });
    expect([...remote.tensors]).toEqual([...local.tensors]);
    expect(remote.shards.map(({ name, size }) => [name, size])).toEqual(
      local.shards.map(({ name, size }) => [name, size]),
    );
    expect([...remote.files.list("")].toSorted()).toEqual([...local.files.list("")].toSorted());
    expect(await remote.files.read("config.json")).toEqual(await local.files.read("config.json"));
    expect(await remote.files.read("nowhere.json")).toBeUndefined();
    expect(remote.files.has("tokenizer.json")).toBe(true);
    expect(() => remote.files.has("../x")).toThrow(expect.objectContaining({ code: "CHECKPOINT_PATH" }));
    expect(await remote.readTensor(SMALL_TENSOR)).toEqual(await local.readTensor(SMALL_TENSOR));
    expect(remoteBytes(remote.tensors.values(), remote.shards)).toBe(remote.totalBytes);
    expect(remoteBytes(local.tensors.values(), local.shards)).toBe(0);
  });

  it("reads headers, not weights", async () => {
    const server = await serve();
    const { totalBytes } = await openHubCheckpoint("hf:org/tiny", options(server));
    const asked = server.requests.flatMap(({ host, range }) => {
      const [, first, last] = (/(\d+)-(\d+)/.exec(range ?? "") ?? []).map(Number);
      return host === "cdn" ? [last! - first! + 1] : [];
    });
    expect(asked).toHaveLength(2 * 3);
    expect(asked.reduce((sum, size) => sum + size, 0)).toBeLessThan(totalBytes / 20);
  });

  it("reads from shards that are plain data, with the token that was shared", async () => {
    const server = await serve();
    server.tokens.add("hf_secret");
    const access = hubAccess({ endpoint: server.endpoint, token: "hf_secret" });
    const { shards, tensors } = await openHubCheckpoint("hf:org/tiny", { access, patience });
    expect(JSON.stringify(shards)).not.toContain("hf_secret");
    const tensor = tensors.get(SMALL_TENSOR)!;
    const reader = new ShardReader(structuredClone(shards));
    const rows = reader.reading({ tensors: [tensor], buffer: (size) => new Uint8Array(size) });
    const expected = await (await openCheckpointDirectory(golden)).readTensor(SMALL_TENSOR);
    expect(await rows.readRows(SMALL_TENSOR, 0, 1)).toEqual(expected);
    await reader.close();
    await expect(rows.readRows(SMALL_TENSOR, 0, 1)).rejects.toMatchObject({ code: "SOURCE_CLOSED" });
  });

  it("reads files that are complete in the cache there", async () => {
    const server = await serve();
    const plain = await openHubCheckpoint("hf:org/tiny", options(server));
    const repository = join(temporary, "models--org--tiny");
    const snapshot = join(repository, "snapshots", server.repository.head.id);
    await mkdir(join(repository, "blobs"), { recursive: true });
    await mkdir(snapshot, { recursive: true });
    const { location, name } = plain.shards[0]!;
    const etag = location.kind === "hub" ? location.etag : "";
    await symlink(join(golden, name), join(repository, "blobs", etag));
    await symlink(join(repository, "blobs", etag), join(snapshot, name));
    const notItsName = await openHubCheckpoint(
      "hf:org/tiny",
      options(server, { cache: { folder: temporary } }),
    );
    expect(localPaths(notItsName.shards)).toEqual([]);

    await rm(join(repository, "blobs", etag));
    await writeFile(join(repository, "blobs", etag), await readFile(join(golden, name)));
    const cached = await openHubCheckpoint("hf:org/tiny", options(server, { cache: { folder: temporary } }));
    expect(localPaths(cached.shards)).toHaveLength(1);
    expect([...cached.tensors]).toEqual([...plain.tensors]);
    expect(remoteBytes(cached.tensors.values(), cached.shards)).toBeLessThan(cached.totalBytes);
  });

  it("refuses repositories without safetensors, or with too few of them", async () => {
    await writeFile(join(temporary, "pytorch_model.bin"), "x");
    const pickles = await serve(temporary);
    await expect(openHubCheckpoint("hf:org/tiny", options(pickles))).rejects.toMatchObject({
      code: "CHECKPOINT_NO_SAFETENSORS",
    });
    const index = JSON.stringify({ weight_map: { a: "model-1.safetensors" } });
    await writeFile(join(temporary, "model.safetensors.index.json"), index);
    const incomplete = await serve(temporary);
    await expect(openHubCheckpoint("hf:org/tiny", options(incomplete))).rejects.toMatchObject({
      code: "SAFETENSORS_MISSING_SHARD",
    });
  });
});
