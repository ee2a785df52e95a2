import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer as createWebServer, type RequestListener } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { afterEach, describe, expect, it, vi } from "vitest";
import { sendByConnection } from "./send-by-connection.ts";

const BODY = Buffer.from(Array.from({ length: 300_000 }, (_, at) => (at * 31 + (at >> 8)) % 251));

const ends: (() => void)[] = [];
afterEach(() => {
  vi.unstubAllEnvs();
  for (const end of ends.splice(0)) end();
});

/** Address of a server, which ends with the test. */
async function listen(server: Server, host = "127.0.0.1"): Promise<string> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  ends.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const { port } = server.address() as AddressInfo;
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** A server of one answer to each request, sent as it is given; it counts its connections. */
async function answering(
  answer: (request: number, socket: Socket) => string | Buffer | undefined,
): Promise<{ url: string; connections: () => number }> {
  let connections = 0;
  let requests = 0;
  const server = createServer((socket) => {
    connections++;
    socket.on("data", () => {
      const bytes = answer(requests++, socket);
      if (bytes !== undefined) socket.write(bytes);
    });
  });
  return { url: `http://${await listen(server)}/file?a=b`, connections: () => connections };
}

/** What an answer has, read into an array of the size given. */
async function ask(
  url: string,
  size = BODY.byteLength,
): Promise<{ status: number; body: Buffer; there: number }> {
  const answer = await sendByConnection(url, { headers: { range: `bytes=0-${size - 1}` } });
  const target = new Uint8Array(size + 8).subarray(8);
  let done = 0;
  let there = 0;
  await answer.readBody((piece) => {
    if (done + piece.byteLength > size) throw new Error("too much");
    if (piece.buffer === target.buffer && piece.byteOffset === target.byteOffset + done)
      there += piece.byteLength;
    else target.set(piece, done);
    done += piece.byteLength;
  }, target);
  return { status: answer.status, body: Buffer.from(target.subarray(0, done)), there };
}

const head = (size: number, more = ""): string =>
  `HTTP/1.1 206 Partial Content\r\ncontent-length: ${size}\r\n${more}\r\n`;
const sized = (body: string, more = ""): string => head(body.length, more) + body;

describe("answers", () => {
  it("are read to where they belong", async () => {
    const seen: (string | undefined)[] = [];
    const listener: RequestListener = (request, response) => {
      seen.push(request.headers.host, request.headers["range"], request.url);
      response.writeHead(206, { "content-length": BODY.byteLength }).end(BODY);
    };
    const address = await listen(createWebServer(listener));
    const { status, body, there } = await ask(`http://${address}/file?a=b`);
    expect({ status, seen }).toEqual({ status: 206, seen: [address, "bytes=0-299999", "/file?a=b"] });
    expect(Buffer.compare(body, BODY)).toBe(0);
    expect(there).toBeGreaterThan(BODY.byteLength - 40_000);
  });

  it("come over IPv6", async () => {
    const server = createWebServer((_, response) => response.end("six"));
    const address = await listen(server, "::1").catch(() => undefined);
    if (address === undefined) return;
    expect((await ask(`http://${address}/`)).body.toString()).toBe("six");
  });

  it.each([
    [
      "in chunks",
      ["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "5\r\nhello\r\n", "1\r\n!\r\n0\r\n\r\n"],
    ],
    ["until the connection ends", ["HTTP/1.1 200 OK\r\n\r\nhel", "lo!"]],
    ["of HTTP/1.0", ["HTTP/1.0 200 OK\r\ncontent-length: 6\r\n\r\nhello!"]],
    ["in single bytes", sized("hello!").split("")],
    [
      "after others that are not the answer",
      ["HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\n", sized("hello!")],
    ],
    [
      "with a header in pieces",
      ["HTTP/1.1 206 Partial Con", "tent\r\nContent-Len", "gth: 6\r", "\n\r\nhel", "lo!"],
    ],
    ["with bytes that a reader has not asked for yet", [sized("hello!"), ""]],
  ])("come %s", async (_, pieces) => {
    const { url } = await answering((__, socket) => {
      void (async () => {
        for (const piece of pieces) {
          socket.write(piece);
          await wait(1);
        }
        if (!pieces.join("").includes("chunked") && !pieces.join("").includes("ength")) socket.end();
      })();
      return undefined;
    });
    expect((await ask(url)).body.toString()).toBe("hello!");
  });

  it("wait for their reader", async () => {
    const { url } = await answering(() => Buffer.concat([Buffer.from(head(300_000)), BODY]));
    const answer = await sendByConnection(url, { headers: {} });
    await wait(50);
    const pieces: Buffer[] = [];
    await answer.readBody((piece) => pieces.push(Buffer.from(piece)));
    expect(Buffer.compare(Buffer.concat(pieces), BODY)).toBe(0);
  });

  it("have fields by names in letters of any size, those of a name together", async () => {
    const { url } = await answering(() => sized("", 'X-One: 1\r\nx-one: 2\r\nETag: "a"\r\n'));
    const { headers } = await sendByConnection(url, { headers: {} });
    expect([headers.get("x-ONE"), headers.get("etag"), headers.get("x-two")]).toEqual(["1, 2", '"a"', null]);
    expect([...headers].map(([name]) => name)).toEqual(["content-length", "x-one", "etag"]);
  });
});

describe("connections", () => {
  it("are used again, whatever the sizes of answers", async () => {
    const { url, connections } = await answering((request) =>
      request % 2 === 0 ? sized("a") : sized("b".repeat(200_000)),
    );
    for (let request = 0; request < 6; request++) {
      expect((await ask(url)).body.byteLength).toBe(request % 2 === 0 ? 1 : 200_000);
    }
    expect(connections()).toBe(1);
  });

  it("are not used again when the server says so, or answers more than was asked for", async () => {
    const closing = await answering(() => sized("a", "connection: close\r\n"));
    const talking = await answering(() => sized("a"));
    await ask(closing.url);
    await ask(closing.url);
    await ask(talking.url);
    expect([closing.connections(), talking.connections()]).toEqual([2, 1]);
    let first: Socket | undefined;
    const late = await answering((_, socket) => {
      first ??= socket;
      return sized("a");
    });
    await ask(late.url);
    const closed = once(first!, "close");
    first!.write(sized("b"));
    await closed;
    expect((await ask(late.url)).body.toString()).toBe("a");
    expect(late.connections()).toBe(2);
  });

  it("that ended while they waited are made anew, once for each request", async () => {
    const { url, connections } = await answering((request, socket) => {
      // The second request finds a connection whose end is on its way.
      if (request === 1) socket.destroy();
      return request === 1 ? undefined : sized("a");
    });
    await ask(url);
    expect((await ask(url)).body.toString()).toBe("a");
    expect(connections()).toBe(2);
  });

  it("are given up with an answer that nobody wants, or that is aborted", async () => {
    const { url, connections } = await answering(() => head(300_000));
    await (await sendByConnection(url, { headers: {} })).cancel();
    const end = new AbortController();
    const answer = await sendByConnection(url, { headers: {}, signal: end.signal });
    const body = answer.readBody(() => undefined, new Uint8Array(300_000));
    setTimeout(() => end.abort(new Error("enough")), 5);
    await expect(body).rejects.toThrow("enough");
    await expect(sendByConnection(url, { headers: {}, signal: end.signal })).rejects.toThrow("enough");
    const early = new AbortController();
    const silent = await answering(() => undefined);
    setTimeout(() => early.abort(new Error("too long")), 5);
    await expect(sendByConnection(silent.url, { headers: {}, signal: early.signal })).rejects.toThrow(
      "too long",
    );
    expect(connections()).toBe(2);
  });
});

describe("what is no answer", () => {
  it.each([
    ["no HTTP", "SSH-2.0-OpenSSH_9.2\r\n", /Parse Error/],
    ["a size that is none", "HTTP/1.1 206 OK\r\ncontent-length: -1\r\n\r\n", /content-length is -1/],
    ["two sizes", "HTTP/1.1 206 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab", /Parse Error|1, 2/],
    ["a header without an end", `HTTP/1.1 206 OK\r\nx: ${"a".repeat(200_000)}`, /header size/],
    ["more than its size", "HTTP/1.1 206 OK\r\ncontent-length: 1\r\n\r\nab", /more came/],
  ])("%s", async (_, bytes, problem) => {
    const { url } = await answering(() => bytes);
    await expect(ask(url)).rejects.toThrow(problem);
  });

  it("a body that breaks off", async () => {
    const { url } = await answering((_, socket) => {
      socket.end(head(300_000) + "abc");
      return undefined;
    });
    await expect(ask(url)).rejects.toThrow(/closed before the answer was over/);
  });

  it("nobody there", async () => {
    const server = createServer();
    const address = await listen(server);
    server.close();
    await expect(ask(`http://${address}/`)).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });

  it("more than there is room for", async () => {
    const { url } = await answering(() => sized("hello!"));
    await expect(ask(url, 3)).rejects.toThrow("too much");
  });

  it("fields that would begin another line are not sent", async () => {
    const { url, connections } = await answering(() => sized("a"));
    await expect(sendByConnection(url, { headers: { range: "a\r\nx-evil: 1" } })).rejects.toThrow(
      /Invalid character/,
    );
    expect(connections()).toBe(0);
  });
});

const openssl = (argv: readonly string[]): boolean =>
  spawnSync("openssl", argv, { stdio: "ignore" }).status === 0;

describe.skipIf(!openssl(["version"]))("over TLS (needs openssl)", () => {
  it("answers are read to where they belong, from servers with a certificate alone", async () => {
    const folder = mkdtempSync(join(tmpdir(), "quern-tls-"));
    ends.push(() => rmSync(folder, { recursive: true }));
    const [certificate, key] = [join(folder, "certificate.pem"), join(folder, "key.pem")];
    const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
    expect(
      openssl(["req", "-x509", ...curve, "-keyout", key, "-out", certificate, "-subj", "/CN=other"]),
    ).toBe(true);
    const server = createSecureServer(
      { cert: readFileSync(certificate), key: readFileSync(key) },
      (_, response) => response.writeHead(206, { "content-length": BODY.byteLength }).end(BODY),
    );
    const url = `https://${await listen(server)}/`;
    await expect(ask(url)).rejects.toMatchObject({ code: "DEPTH_ZERO_SELF_SIGNED_CERT" });
    vi.stubEnv("NODE_TLS_REJECT_UNAUTHORIZED", "0");
    for (let request = 0; request < 2; request++) {
      const { body, there } = await ask(url);
      expect(Buffer.compare(body, BODY)).toBe(0);
      expect(there).toBeGreaterThan(BODY.byteLength - 40_000);
    }
  });
});
