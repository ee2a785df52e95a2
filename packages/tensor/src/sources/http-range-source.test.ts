import { gzipSync } from "node:zlib";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { httpRangeSource, type HttpRangeSourceParams } from "./http-range-source.ts";
import type { ByteSource } from "../byte-source.ts";
import type { RetryWait } from "./retry.ts";

const CONTENT = Uint8Array.from({ length: 4_000_000 }, (_, i) => (i * 31) >>> 2);
const ETAG = '"version-1"';

interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  first: number;
  last: number;
  /** Position among the requests of a test. The first one asks for the size. */
  number: number;
}

const servers: Server[] = [];
const requests: IncomingMessage[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
  requests.length = 0;
});

/** Answers as a sound server does. */
function answer(
  { request, response, first, last }: Exchange,
  { content = CONTENT, etag = ETAG }: { content?: Uint8Array; etag?: string } = {},
): void {
  const condition = request.headers["if-range"];
  if (condition !== undefined && condition !== etag) {
    response.writeHead(200, { etag, "content-length": content.length }).end(content);
    return;
  }
  response.writeHead(206, {
    etag,
    "content-range": `bytes ${first}-${last}/${content.length}`,
    "content-length": last - first + 1,
  });
  response.end(content.subarray(first, last + 1));
}

async function serve(handle: (exchange: Exchange) => void): Promise<string> {
  const server = createServer((request, response) => {
    const [first = 0, last = 0] = (/(\d+)-(\d+)/.exec(request.headers.range ?? "") ?? [])
      .slice(1)
      .map(Number);
    requests.push(request);
    handle({ request, response, first, last, number: requests.length });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/model.safetensors`;
}

async function openSource(
  handle: (exchange: Exchange) => void,
  params: Partial<HttpRangeSourceParams> = {},
): Promise<ByteSource> {
  return httpRangeSource({ url: await serve(handle), retryDelay: 1, ...params });
}

/** A source whose first request is answered well and the others as given. */
function openThen(
  handle: (exchange: Exchange) => void,
  params: Partial<HttpRangeSourceParams> = {},
): Promise<ByteSource> {
  return openSource((exchange) => (exchange.number === 1 ? answer(exchange) : handle(exchange)), params);
}

function failure(code: string, message: string | RegExp = ""): Error {
  return expect.objectContaining({ code, message: expect.stringMatching(message) as string }) as Error;
}

function isContent(bytes: Uint8Array, offset: number): boolean {
  return Buffer.compare(bytes, CONTENT.subarray(offset, offset + bytes.byteLength)) === 0;
}

describe("requests", () => {
  it("asks for the size once, then for the ranges of one version of the file", async () => {
    const source = await openSource((exchange) => answer(exchange), {
      headers: { authorization: "Bearer abc" },
    });
    await source.read(10, 20);
    expect(requests.map((request) => request.headers.range)).toEqual(["bytes=0-0", "bytes=10-29"]);
    expect(requests.map((request) => request.headers["if-range"])).toEqual([undefined, ETAG]);
    for (const request of requests) {
      expect(request.headers.authorization).toBe("Bearer abc");
      expect(request.headers["accept-encoding"]).toBe("identity");
    }
  });

  it("goes through the fetch given", async () => {
    const calls: string[] = [];
    const source = await openSource((exchange) => answer(exchange), {
      fetch: (input, init) => {
        calls.push(new Request(input).url);
        return fetch(input, init);
      },
    });
    await source.read(0, 1);
    expect(calls).toHaveLength(2);
  });

  it("follows redirects", async () => {
    const source = await openSource(({ request, response, ...rest }) => {
      if (request.url === "/model.safetensors") response.writeHead(302, { location: "/blob" }).end();
      else answer({ request, response, ...rest });
    });
    expect(isContent(await source.read(100, 1000), 100)).toBe(true);
  });

  it("does not make a condition of a weak ETag, or when told not to", async () => {
    const weak = await openSource((exchange) => answer(exchange, { etag: 'W/"1"' }));
    await weak.read(0, 1);
    const told = await openSource((exchange) => answer(exchange), { ifRange: false });
    await told.read(0, 1);
    expect(requests.map((request) => request.headers["if-range"])).toEqual(Array.from({ length: 4 }));
  });
});

describe("answers that are refused", () => {
  it.each<[string, (exchange: Exchange) => void, string]>([
    ["the whole file", ({ response }) => response.writeHead(200).end(CONTENT), "SOURCE_RANGE_UNSUPPORTED"],
    ["no content-range", ({ response }) => response.writeHead(206).end("x"), "SOURCE_RANGE_UNSUPPORTED"],
    [
      "an unknown size",
      ({ response }) => response.writeHead(206, { "content-range": "bytes 0-0/*" }).end("x"),
      "SOURCE_RANGE_UNSUPPORTED",
    ],
    ["404", ({ response }) => response.writeHead(404).end(), "SOURCE_NOT_FOUND"],
    ["401", ({ response }) => response.writeHead(401).end(), "SOURCE_UNREADABLE"],
    ["403", ({ response }) => response.writeHead(403).end(), "SOURCE_UNREADABLE"],
    ["418", ({ response }) => response.writeHead(418).end(), "SOURCE_READ_FAILED"],
  ])("%s to the first request", async (_, handle, code) => {
    const url = await serve(handle);
    await expect(httpRangeSource({ url, retryDelay: 1 })).rejects.toThrow(failure(code, url));
    expect(requests).toHaveLength(1);
  });

  it.each<[string, (exchange: Exchange) => void, string, RegExp]>([
    [
      "the whole file",
      ({ response }) => response.writeHead(200).end(CONTENT),
      "SOURCE_RANGE_UNSUPPORTED",
      /200 instead of 206/,
    ],
    [
      "a longer body than the range",
      ({ response }) =>
        response
          .writeHead(206, { "content-range": `bytes 1000-1099/${CONTENT.length}` })
          .end(new Uint8Array(101)),
      "SOURCE_READ_FAILED",
      /more than the 100 bytes/,
    ],
    [
      "a compressed file",
      ({ response }) =>
        response
          .writeHead(206, {
            "content-range": `bytes 1000-1099/${CONTENT.length}`,
            "content-encoding": "gzip",
          })
          .end(gzipSync(CONTENT).subarray(0, 100)),
      "SOURCE_RANGE_UNSUPPORTED",
      /with the file in gzip/,
    ],
    [
      "several ranges",
      ({ response }) =>
        response.writeHead(206, { "content-type": "multipart/byteranges; boundary=x" }).end("--x"),
      "SOURCE_RANGE_UNSUPPORTED",
      /missing/,
    ],
  ])("%s to a later request", async (_, handle, code, message) => {
    const source = await openThen(handle);
    await expect(source.read(1000, 100)).rejects.toThrow(failure(code, message));
    expect(requests).toHaveLength(2);
  });

  it.each<[string, (exchange: Exchange) => void, string, RegExp]>([
    [
      "another range",
      ({ response }) =>
        response
          .writeHead(206, { "content-range": `bytes 0-99/${CONTENT.length}` })
          .end(CONTENT.subarray(0, 100)),
      "SOURCE_READ_FAILED",
      /asked for bytes 1000-1099, the server answered bytes 0-99/,
    ],
    [
      "fewer bytes than asked for",
      ({ response }) =>
        response
          .writeHead(206, { "content-range": `bytes 1000-1049/${CONTENT.length}` })
          .end(CONTENT.subarray(0, 50)),
      "SOURCE_READ_FAILED",
      /1000-1049/,
    ],
  ])("%s, again and again", async (_, handle, code, message) => {
    const source = await openThen(handle);
    await expect(source.read(1000, 100)).rejects.toThrow(failure(code, message));
    expect(requests).toHaveLength(2 + 4);
  });
});

describe("a file that changes", () => {
  const other = CONTENT.slice(0, 3_000_000);

  it("is noticed by a server that knows If-Range", async () => {
    const source = await openThen((exchange) => answer(exchange, { content: other, etag: '"version-2"' }));
    await expect(source.read(0, 100)).rejects.toThrow(
      failure("SOURCE_CHANGED", /"version-1", now it is "version-2"/),
    );
  });

  it("is noticed by the ETag of a server that ignores If-Range", async () => {
    const source = await openThen((exchange) => {
      delete exchange.request.headers["if-range"];
      answer(exchange, { etag: '"version-2"' });
    });
    await expect(source.read(0, 100)).rejects.toThrow(failure("SOURCE_CHANGED", /ETag/));
  });

  it("is noticed by its date, where there is no ETag", async () => {
    const source = await openSource(({ response, first, last, number }) => {
      response.writeHead(206, {
        "content-range": `bytes ${first}-${last}/${CONTENT.length}`,
        "last-modified": `Sat, 0${number} Nov 2025 00:00:00 GMT`,
      });
      response.end(CONTENT.subarray(first, last + 1));
    });
    await expect(source.read(0, 100)).rejects.toThrow(failure("SOURCE_CHANGED", /modified/));
  });

  it("is noticed by its size", async () => {
    const source = await openThen(({ response, first, last }) => {
      response.writeHead(206, { "content-range": `bytes ${first}-${last}/${other.length}` });
      response.end(other.subarray(first, last + 1));
    });
    await expect(source.read(0, 100)).rejects.toThrow(
      failure("SOURCE_CHANGED", /size was 4000000, now it is 3000000/),
    );
  });

  it("is noticed when the range is beyond its end", async () => {
    const source = await openThen(({ response }) =>
      response.writeHead(416, { "content-range": "bytes */10" }).end(),
    );
    await expect(source.read(0, 100)).rejects.toThrow(failure("SOURCE_CHANGED"));
  });
});

describe("retries", () => {
  it.each([500, 503, 429, 408])("after a %i", async (status) => {
    const source = await openSource((exchange) => {
      if (exchange.number % 3 === 0) answer(exchange);
      else exchange.response.writeHead(status).end("busy");
    });
    expect(isContent(await source.read(5, 100), 5)).toBe(true);
    expect(requests).toHaveLength(6);
  });

  it("after a connection that breaks off without an answer", async () => {
    const source = await openSource((exchange) => {
      if (exchange.number % 2 === 0) answer(exchange);
      else exchange.response.destroy();
    });
    expect(isContent(await source.read(5, 100), 5)).toBe(true);
  });

  it("continues where a body broke off", async () => {
    const source = await openThen((exchange) => {
      if (exchange.number > 2) return answer(exchange);
      exchange.response.writeHead(206, {
        etag: ETAG,
        "content-range": `bytes ${exchange.first}-${exchange.last}/${CONTENT.length}`,
        "content-length": exchange.last - exchange.first + 1,
      });
      exchange.response.write(CONTENT.subarray(exchange.first, exchange.first + 2_000_000), () => {
        setTimeout(() => exchange.response.destroy(), 50);
      });
    });
    expect(isContent(await source.read(1000, 3_500_000), 1000)).toBe(true);
    const [, whole, rest] = requests.map((request) => request.headers.range);
    expect(whole).toBe("bytes=1000-3500999");
    const from = Number(/bytes=(\d+)-3500999/.exec(rest!)![1]);
    expect(from).toBeGreaterThanOrEqual(1000 + 2 ** 20);
    expect(from).toBeLessThanOrEqual(2_001_000);
  });

  it("gives up after the retries allowed, with the last failure", async () => {
    const source = await openThen(({ response }) => response.writeHead(503).end(), { retries: 2 });
    await expect(source.read(0, 1)).rejects.toThrow(failure("SOURCE_READ_FAILED", /503/));
    expect(requests).toHaveLength(4);
  });

  it("gives up on a body that is always short", async () => {
    const source = await openThen(
      ({ response, first, last }) => {
        response.writeHead(206, { "content-range": `bytes ${first}-${last}/${CONTENT.length}` });
        response.end(CONTENT.subarray(first, first + 10));
      },
      { retries: 2 },
    );
    await expect(source.read(100, 50)).rejects.toThrow(failure("SOURCE_TRUNCATED", /10 of 50 bytes came/));
    expect(requests).toHaveLength(4);
  });

  it("gives up on a server that is not there", async () => {
    const url = await serve(() => {});
    servers[0]!.close();
    await expect(httpRangeSource({ url, retries: 1, retryDelay: 1 })).rejects.toThrow(
      expect.objectContaining({ code: "SOURCE_READ_FAILED", cause: expect.any(Error) as Error }),
    );
  });

  it("waits as long as the server asks, and says so before", async () => {
    const waits: RetryWait[] = [];
    const source = await openThen(
      (exchange) => {
        if (exchange.number > 2) answer(exchange);
        else exchange.response.writeHead(429, { "retry-after": "0" }).end();
      },
      { retryDelay: 1e9, onWait: (wait) => waits.push(wait) },
    );
    expect(isContent(await source.read(0, 10), 0)).toBe(true);
    const elapsed = expect.any(Number) as number;
    expect(waits).toEqual([
      { reason: "429 Too Many Requests", attempt: 2, attempts: 5, seconds: 0, elapsed },
    ]);
  });

  it("tells of no wait after the last attempt, and counts anew once there was progress", async () => {
    const waits: RetryWait[] = [];
    const source = await openThen(
      (exchange) => {
        if (exchange.number > 2) {
          exchange.response.socket?.destroy();
          return;
        }
        exchange.response.writeHead(206, {
          "content-range": `bytes ${exchange.first}-${exchange.last}/${CONTENT.length}`,
        });
        exchange.response.write(CONTENT.subarray(0, 2_000_000), () => {
          setTimeout(() => exchange.response.destroy(), 50);
        });
      },
      { retries: 2, onWait: (wait) => waits.push(wait) },
    );
    await expect(source.read(0, 3_500_000)).rejects.toThrow(failure("SOURCE_READ_FAILED"));
    expect(waits.map(({ attempt, attempts }) => [attempt, attempts])).toEqual([
      [2, 3],
      [3, 3],
    ]);
    expect(waits.map(({ reason }) => reason)).toEqual([
      expect.stringMatching(/^the answer broke off: /),
      "the connection broke (UND_ERR_SOCKET)",
    ]);
  });
});

it("serves many reads at the same time without a warning of leaks", async () => {
  const warnings: Error[] = [];
  const note = (warning: Error): unknown => warnings.push(warning);
  process.on("warning", note);
  const source = await openThen((exchange) => setTimeout(() => answer(exchange), 50));
  await Promise.all(Array.from({ length: 24 }, (_, index) => source.read(index * 10, 10)));
  process.off("warning", note);
  expect(warnings).toEqual([]);
});

describe("ending", () => {
  it("ends a request under way when aborted", async () => {
    const controller = new AbortController();
    const source = await openThen(() => controller.abort(new Error("enough")), { signal: controller.signal });
    await expect(source.read(0, 10)).rejects.toThrow(
      expect.objectContaining({
        code: "SOURCE_ABORTED",
        cause: expect.objectContaining({ message: "enough" }) as Error,
      }),
    );
  });

  it("ends a wait between retries when aborted", async () => {
    const controller = new AbortController();
    const source = await openThen(
      ({ response }) => {
        response.writeHead(503).end();
        setTimeout(() => controller.abort(), 20);
      },
      { signal: controller.signal, retryDelay: 1e9 },
    );
    await expect(source.read(0, 10)).rejects.toThrow(failure("SOURCE_ABORTED"));
  });

  it("refuses to open when aborted before, and to read after close", async () => {
    const url = await serve((exchange) => answer(exchange));
    await expect(httpRangeSource({ url, signal: AbortSignal.abort() })).rejects.toThrow(
      failure("SOURCE_ABORTED"),
    );
    const source = await httpRangeSource({ url });
    await source.close();
    await expect(source.read(0, 1)).rejects.toThrow(failure("SOURCE_CLOSED"));
  });
});
