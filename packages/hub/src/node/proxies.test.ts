import { createServer, type Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { HubServer, memoryContent, storedFile } from "../testing/index.ts";

const content = memoryContent(Buffer.alloc(300_000, "weights"));
const patience = { retries: 0 };
const sockets = new Set<Socket>();
/** Where connections were asked for. */
let targets: string[];
let server: HubServer;
let proxy: Server;
let address: string;

beforeAll(async () => {
  proxy = createServer((_, response) => response.writeHead(405).end());
  proxy.on("connect", (request, client: Socket, head: Buffer) => {
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
  server = await HubServer.start({ id: "org/tiny" });
  server.repository.commit({
    files: new Map([["model.safetensors", storedFile("model.safetensors", content)]]),
  });
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await server.stop();
});

async function readAll(): Promise<Uint8Array> {
  const { hubAccess, openHubFile, openRepository } = await import("../index.ts");
  const { sendByNode: transport } = await import("./index.ts");
  const reading = { access: hubAccess({ endpoint: server.endpoint }), patience, transport };
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

  it("that is no address is said to be so, without its password", async () => {
    vi.stubEnv("HTTP_PROXY", "ftp://me:secret@proxy.example");
    await expect(readAll()).rejects.toMatchObject({
      code: "HUB_PROXY_INVALID",
      message: expect.not.stringMatching("secret") as string,
    });
  });
});
