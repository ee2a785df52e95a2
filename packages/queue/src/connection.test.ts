import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { connectQueue, type QueueConnection } from "./connection.ts";
import { parseQueueAddress } from "./queue-address.ts";
import { freePort, redisProgram, RedisServer } from "./testing/index.ts";

it("gives a Redis up that does not answer", async () => {
  const address = parseQueueAddress(`redis://:secret@127.0.0.1:${await freePort()}`);
  const started = performance.now();
  await expect(connectQueue({ address, patience: { connect: 600 } })).rejects.toMatchObject({
    code: "QUEUE_UNREACHABLE",
    message: expect.not.stringContaining("secret"),
  });
  expect(performance.now() - started).toBeGreaterThan(300);
  const stopped = AbortSignal.abort(new Error("enough"));
  await expect(connectQueue({ address, signal: stopped })).rejects.toThrow("enough");
});

describe.skipIf(redisProgram === undefined)("with a redis-server (tools/redis.sh gets one)", () => {
  const closing: (() => Promise<void> | void)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  async function connect(server: RedisServer, outage: number): Promise<QueueConnection> {
    const connection = await connectQueue({ address: parseQueueAddress(server.url), patience: { outage } });
    closing.push(() => connection.close());
    return connection;
  }

  it("says when it is not let in, and how it was asked nowhere", async () => {
    const server = await RedisServer.start({ password: "right" });
    closing.push(() => server.stop());
    for (const secret of ["", ":wrong@"]) {
      const address = parseQueueAddress(`redis://${secret}127.0.0.1:${server.port}`);
      await expect(connectQueue({ address })).rejects.toMatchObject({
        code: "QUEUE_REFUSED",
        message: expect.not.stringMatching(/wrong@|:wrong/),
      });
    }
  });

  it("outlasts a Redis that goes and comes back", async () => {
    const server = await RedisServer.start();
    const connection = await connect(server, 60_000);
    await server.stop();
    const answer = connection.redis.ping();
    const again = await RedisServer.start({ port: server.port });
    closing.push(() => again.stop());
    expect(await answer).toBe("PONG");
    expect(connection.lost.aborted).toBe(false);
  });

  it("gives one up that stays away", async () => {
    const server = await RedisServer.start();
    const connection = await connect(server, 300);
    await server.stop();
    while (!connection.lost.aborted) await sleep(20);
    expect(connection.lost.reason).toMatchObject({ code: "QUEUE_LOST" });
  });
});
