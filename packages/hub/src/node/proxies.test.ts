import { openAsBlob } from "node:fs";
import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import type { QuernError } from "@quern/tensor";
import { HubServer, memoryContent, storedFile, UploadStore, writingRoutes } from "../testing/index.ts";

const TOKEN = "hf_writer";
const ID = "mill/tiny-GGUF";

const content = memoryContent(Buffer.alloc(300_000, "weights"));
const patience = { retries: 0 };
const sockets = new Set<Socket>();
/** Where connections were asked for. */
let targets: string[];
let server: HubServer;
let proxy: Server;
let address: string;
/** What the proxy wants to be told, if anything. */
let credentials: string | undefined;
let store: UploadStore;
let folder: string;

beforeAll(async () => {
  proxy = createServer((_, response) => response.writeHead(405).end());
  proxy.on("connect", (request, client: Socket, head: Buffer) => {
    const given = request.headers["proxy-authorization"];
    if (credentials !== undefined && given !== `Basic ${Buffer.from(credentials).toString("base64")}`) {
      client.end("HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n");
      return;
    }
    targets.push(request.url!);
    const { hostname, port } = new URL(`http://${request.url}`);
    const target = connect(Number(port), hostname, () => {
      client.write("HTTP/1.1 200 Connection established\r\n\r\n");
      target.write(head);
      target.pipe(client).pipe(target);
    });
    for (const one of [client, target]) {
      sockets.add(one);
      one.on("error", () => one.destroy());
    }
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  address = `127.0.0.1:${(proxy.address() as AddressInfo).port}`;
});
afterAll(() => {
  for (const socket of sockets) socket.destroy();
  proxy.close();
});

beforeEach(async () => {
  targets = [];
  // A thread asks for its proxies once.
  vi.resetModules();
  credentials = undefined;
  folder = await mkdtemp(join(tmpdir(), "quern-proxies-"));
  store = await UploadStore.create();
  store.partSize = 100_000;
  server = await HubServer.start({ id: "org/tiny", routes: writingRoutes(store) });
  server.tokens.add(TOKEN);
  store.writers.add(TOKEN);
  server.repository.commit({
    files: new Map([["model.safetensors", storedFile("model.safetensors", content)]]),
  });
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await server.stop();
  await store.remove();
  await rm(folder, { recursive: true });
});

/** Creates a repository, uploads a file in parts, and opens a pull request with another. */
async function uploadAll(): Promise<void> {
  const { hubAccess } = await import("../index.ts");
  const { checkWriter, commitFiles, createRepository, findPullRequests } = await import("./upload/index.ts");
  const shared = { access: hubAccess({ endpoint: server.endpoint, token: TOKEN }), id: ID, patience };
  await checkWriter(shared);
  await createRepository(shared);
  const file = join(folder, "model.gguf");
  await writeFile(file, content.read(0, content.size));
  await commitFiles({ ...shared, title: "Add", files: [{ path: "model.gguf", content: { file } }] });
  const card = { path: "README.md", content: { text: "# Card" } };
  await commitFiles({ ...shared, title: "Add a card (mark)", files: [card], openPullRequest: true });
  expect(await findPullRequests({ ...shared, mark: "mark" })).toMatchObject([{ branch: "refs/pr/1" }]);
}

function uploaded(): Buffer {
  const { content: stored } = server.repositories.get(ID)!.head.files.get("model.gguf")!;
  return Buffer.from(stored.read(0, stored.size));
}

async function readAll(): Promise<Uint8Array> {
  const { hubAccess, openHubFile, openRepository } = await import("../index.ts");
  const { sendByNode: transport } = await import("./index.ts");
  const reading = { access: hubAccess({ endpoint: server.endpoint, token: TOKEN }), patience, transport };
  const { files } = await openRepository({ reference: { id: "org/tiny" }, ...reading });
  const source = await openHubFile({ location: files.get("model.safetensors")!, ...reading });
  try {
    return await source.read(0, source.size);
  } finally {
    await source.close();
  }
}

describe("a proxy of the environment", () => {
  it.each(["HTTP_PROXY", "http_proxy"])("%s is asked for both hosts", async (name) => {
    vi.stubEnv(name, `http://${address}`);
    expect(Buffer.compare(await readAll(), content.read(0, content.size))).toBe(0);
    const hosts = targets.map((target) => target.split(":")[0]);
    expect(new Set(hosts)).toEqual(new Set(["127.0.0.1", "localhost"]));
  });

  it("is left out for hosts that NO_PROXY names", async () => {
    vi.stubEnv("HTTP_PROXY", `http://${address}`);
    vi.stubEnv("NO_PROXY", "example.com,localhost");
    expect(Buffer.compare(await readAll(), content.read(0, content.size))).toBe(0);
    expect(targets.length).toBeGreaterThan(0);
    expect(targets.every((target) => target.startsWith("127.0.0.1:"))).toBe(true);
  });

  it("is asked for both hosts by what uploads, too", async () => {
    credentials = "me:secret";
    vi.stubEnv("HTTP_PROXY", `http://${credentials}@${address}`);
    await uploadAll();
    expect(Buffer.compare(uploaded(), content.read(0, content.size))).toBe(0);
    const hosts = targets.map((target) => target.split(":")[0]);
    expect(new Set(hosts)).toEqual(new Set(["127.0.0.1", "localhost"]));
    // Three parts of the file, by its own host.
    expect(server.requests.filter(({ host, method }) => host === "cdn" && method === "PUT")).toHaveLength(3);
  });

  it("is left out by uploads for hosts that NO_PROXY names", async () => {
    vi.stubEnv("HTTP_PROXY", `http://${address}`);
    vi.stubEnv("NO_PROXY", "127.0.0.1,localhost");
    await uploadAll();
    expect(Buffer.compare(uploaded(), content.read(0, content.size))).toBe(0);
    expect(targets).toEqual([]);
  });

  it.each([
    ["refuses", (): string => `http://me:wrong-secret@${address}`, /the proxy answered 407/],
    ["is not there", (): string => "http://me:wrong-secret@127.0.0.1:1", /the connection was refused/],
  ])("that %s is said to, without password and token", async (_name, proxyOf, message) => {
    credentials = "me:secret";
    vi.stubEnv("HTTP_PROXY", proxyOf());
    for (const work of [uploadAll, readAll]) {
      const error = await work().then(
        () => expect.fail("it should not work"),
        (cause: unknown) => cause as QuernError,
      );
      expect(error.code).toBe("HUB_UNREACHABLE");
      expect(error.message).toMatch(message);
      expect(error.message).toMatch(/HTTPS_PROXY and NO_PROXY, and at HF_ENDPOINT/);
      expect(error.message).not.toMatch(/secret|hf_/);
    }
  });

  it("takes no memory for what is uploaded through it", async () => {
    const { sendBody } = await import("./upload/send-body.ts");
    const size = 192 * 2 ** 20;
    const file = join(folder, "large");
    await writeFile(file, "");
    await truncate(file, size);
    vi.stubEnv("HTTP_PROXY", `http://${address}`);
    let received = 0;
    const host = createServer((request, response) => {
      request.on("data", (piece: Buffer) => (received += piece.byteLength));
      request.on("end", () => response.end("ok"));
    });
    await new Promise<void>((resolve) => host.listen(0, "127.0.0.1", resolve));
    const before = process.memoryUsage().arrayBuffers;
    let most = 0;
    const answer = await sendBody({
      url: `http://127.0.0.1:${(host.address() as AddressInfo).port}/`,
      method: "PUT",
      headers: {},
      body: await openAsBlob(file),
      stallTimeout: 10_000,
      onSent: () => (most = Math.max(most, process.memoryUsage().arrayBuffers - before)),
    });
    host.closeAllConnections();
    host.close();
    expect(await answer.text()).toBe("ok");
    expect(received).toBe(size);
    expect(targets).toHaveLength(1);
    expect(most).toBeLessThan(size / 3);
  });

  it("gives up on an upload of which no byte moves", async () => {
    const { sendBody } = await import("./upload/send-body.ts");
    vi.stubEnv("HTTP_PROXY", `http://${address}`);
    const host = createServer(() => undefined);
    await new Promise<void>((resolve) => host.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(host.address() as AddressInfo).port}/`;
    const work = sendBody({ url, method: "POST", headers: {}, body: "text", stallTimeout: 50 });
    await expect(work).rejects.toThrow("no byte moved for 0.05 s");
    host.closeAllConnections();
    host.close();
  });

  it("that is no address is said to be so, without its password", async () => {
    vi.stubEnv("HTTP_PROXY", "ftp://me:secret@proxy.example");
    await expect(readAll()).rejects.toMatchObject({
      code: "HUB_PROXY_INVALID",
      message: expect.not.stringMatching("secret") as string,
    });
  });
});
