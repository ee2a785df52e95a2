import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it } from "vitest";
import { connectionFailure } from "./connection-failure.ts";

async function failure(url: string, init: RequestInit = {}): Promise<string> {
  return fetch(url, init).then(
    () => expect.fail("it should not work"),
    (error: unknown) => connectionFailure(error),
  );
}

/** The address of a server that does with connections what it is told. */
async function served<Result>(
  answer: Parameters<typeof createServer>[1] & object,
  use: (url: string) => Promise<Result>,
): Promise<Result> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    return await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

it("says what is below the error of fetch", async () => {
  const closed = await served(
    (_, response) => response.end(),
    async (url) => url,
  );
  expect(await failure(closed)).toBe("the connection was refused (ECONNREFUSED)");
  expect(await failure("http://nowhere.invalid")).toMatch(/^there is no such host, or no network \(E\w+\)$/);
  const broken = await served((request) => request.socket.destroy(), failure);
  expect(broken).toMatch(/^the connection broke/);
  const signal = AbortSignal.timeout(20);
  expect(
    await served(
      () => undefined,
      (url) => failure(url, { signal }),
    ),
  ).toBe("there was no answer in time");
});

it("tells no addresses", () => {
  expect(connectionFailure(new Error("cannot use http://me:secret@proxy:1"))).toBe("cannot use (address)");
  const answer = new Error("Proxy response (407) !== 200 when HTTP Tunneling");
  expect(connectionFailure(new TypeError("fetch failed", { cause: answer }))).toBe("the proxy answered 407");
  expect(connectionFailure(undefined)).toBe("undefined");
});
