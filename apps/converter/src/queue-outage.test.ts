// What a conversion by a queue does when Redis goes away, comes back, forgets, or cannot hold it.

import { readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { openModel } from "@quern/checkpoints/node";
import {
  convert,
  type ConversionPlan,
  planConversion,
  type TensorOutcome,
  type TensorPart,
} from "@quern/pipeline";
import {
  connectQueue,
  delegateToQueue,
  parseQueueAddress,
  type QueueDelegateParams,
  type QueuePatience,
  shareConversion,
  shareOutput,
  sharePath,
  work,
} from "@quern/queue";
import { redisProgram, RedisServer, type RedisServerOptions } from "@quern/queue/testing";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { hashesOf, ProgramProcess, until } from "./testing/program-process.ts";
import { QueuePlace } from "./testing/queue-place.ts";
import { demoCheckpoint, temporaryFolder } from "./testing/run-cli.ts";

/** Enough work that processes can be caught at it. */
const types = ["Q2_K", "Q3_K_M", "Q4_K_M", "Q5_K_M", "Q6_K"];

/** What a promise is rejected with, whenever that is. */
const failureOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

describe.skipIf(redisProgram === undefined)(
  "quern convert --queue and a Redis in trouble (tools/redis.sh gets a redis-server)",
  () => {
    let local: Record<string, string>;
    const closing: (() => Promise<void> | void)[] = [];

    beforeAll(async () => {
      const folder = join(await temporaryFolder(), "local");
      await new ProgramProcess(["convert", demoCheckpoint, "-t", types.join(","), "-o", `${folder}/`, "-q"])
        .ended;
      local = await hashesOf(folder);
    });

    afterEach(async () => {
      for (const close of closing.splice(0).reverse()) await close();
    });

    async function open(options?: RedisServerOptions): Promise<QueuePlace> {
      const place = await QueuePlace.open(options);
      closing.push(async () => {
        await place.endProcesses();
        await place.close();
      });
      return place;
    }

    const client = (place: QueuePlace, folder: string): ProgramProcess =>
      place.convert(demoCheckpoint, ["-t", types.join(","), "-o", `${folder}/`, "--no-work"]);

    /** The same in this process, with another patience. */
    async function convertHere(params: {
      readonly server: RedisServer;
      readonly folder: string;
      readonly patience: QueuePatience;
      readonly works: boolean;
    }): Promise<void> {
      const { server, folder, patience, works } = params;
      const connection = await connectQueue({ address: parseQueueAddress(server.url), patience });
      closing.push(() => connection.close());
      const plan = await planHere(folder);
      const delegate = delegateToQueue({
        connection,
        ...requested(plan),
        works,
      });
      await convert(plan, { delegate });
    }

    /** What workers are told of such a plan. */
    const requested = ({
      outputs,
    }: ConversionPlan): Pick<
      QueueDelegateParams<ConversionPlan, TensorPart, TensorOutcome>,
      "share" | "request" | "name" | "lease"
    > => ({
      share: shareConversion,
      request: {
        container: "gguf",
        model: { path: sharePath(demoCheckpoint) },
        outputs: types.map((type) => shareOutput({ type }, sharePath)),
        directory: sharePath(dirname(outputs[0]!.files[0]!.path)),
        measureErrors: false,
      },
      name: "here",
      lease: 1000,
    });

    const planHere = async (folder: string): Promise<ConversionPlan> =>
      planConversion({
        checkpoint: await openModel(demoCheckpoint),
        outputs: types.map((type) => ({ type })),
        directory: folder,
        tool: "test",
        threads: 1,
      });

    it("goes on when Redis is ended and started again, longer than leases last", async () => {
      const place = await open({ remembers: true });
      const folder = join(await temporaryFolder(), "out");
      const run = client(place, folder);
      const helper = place.worker();
      await place.holdAtWork(helper);
      helper.process.kill("SIGCONT");
      await place.server.kill();
      await sleep(1500);
      await place.server.startAgain();
      expect(await run.ended, run.text).toBe(0);
      expect(await hashesOf(folder)).toEqual(local);
      expect(run.text).not.toContain("put up again");
    });

    it("goes on when Redis has forgotten everything", async () => {
      const place = await open();
      const folder = join(await temporaryFolder(), "out");
      const run = client(place, folder);
      const helper = place.worker();
      await place.holdAtWork(helper);
      await place.server.kill();
      await place.server.startAgain();
      helper.process.kill("SIGCONT");
      expect(await run.ended, run.text).toBe(0);
      expect(run.text).toMatch(/Redis has lost its data: \d+ tensors are put up again/);
      expect(await hashesOf(folder)).toEqual(local);
    });

    it("goes on when its run has expired while Redis was away, and jobs have not", async () => {
      const place = await open({ remembers: true });
      const folder = join(await temporaryFolder(), "out");
      const run = client(place, folder);
      const helper = place.worker();
      await place.holdAtWork(helper);
      const [key] = (await place.connection.redis.keys("quern:run:*")).filter(
        (name) => !name.endsWith(":workers"),
      );
      // As much as if it had been away for 20 seconds.
      await place.connection.redis.pexpire(key!, 1);
      await place.server.kill();
      await place.server.startAgain();
      helper.process.kill("SIGCONT");
      expect(await run.ended, run.text).toBe(0);
      expect(run.text).toContain("put up again");
      expect(await hashesOf(folder)).toEqual(local);
    });

    it("gives up a Redis that stays away or says nothing, and goes on another time", async () => {
      const server = await RedisServer.start();
      closing.push(() => server.stop());
      const folder = join(await temporaryFolder(), "out");
      const patience = { outage: 300, silence: 300 };
      const failing = failureOf(convertHere({ server, folder, patience, works: false }));
      await until(async () => (await readdir(folder).catch(() => [])).length > 0);
      server.pause();
      expect(await failing).toMatchObject({
        code: "QUEUE_LOST",
        message: expect.stringContaining("has not answered"),
      });
      server.resume();
      await convertHere({ server, folder, patience: {}, works: true });
      expect(Object.keys(await hashesOf(folder))).toEqual(Object.keys(local));
    });

    it("does not begin with a Redis that forgets jobs when it is full, and ends with one that is full", async () => {
      const forgetful = await RedisServer.start({ settings: ["--maxmemory-policy", "allkeys-lru"] });
      closing.push(() => forgetful.stop());
      await expect(connectQueue({ address: parseQueueAddress(forgetful.url) })).rejects.toMatchObject({
        code: "QUEUE_UNSUITABLE",
        message: expect.stringMatching(/allkeys-lru.*expected noeviction/),
      });
      const full = await open({ settings: ["--maxmemory", "1kb"] });
      const folder = join(await temporaryFolder(), "out");
      const run = client(full, folder);
      expect(await run.ended).toBe(1);
      expect(run.text).toMatch(/Redis has refused a command: OOM[^]*code +QUEUE_COMMAND_FAILED/);
      expect(await readdir(folder)).toEqual([]);
    });

    it("lets workers leave when Redis is away, and ends them when it stays away", async () => {
      const server = await RedisServer.start();
      closing.push(() => server.stop());
      const address = parseQueueAddress(server.url);
      const connection = await connectQueue({ address, patience: { outage: 300 } });
      closing.push(() => connection.close());
      const params = {
        connection,
        tool: "test",
        plan: () => Promise.reject(new Error("there is no run")),
        name: "here",
        lease: 1000,
      };
      await server.kill();
      const leaving = new AbortController();
      const left = work({ ...params, signal: leaving.signal });
      leaving.abort();
      await left;
      const failed = work({ ...params, signal: new AbortController().signal });
      await expect(failed).rejects.toMatchObject({ code: "QUEUE_LOST" });
    });

    it("is dropped by workers when the client is gone", async () => {
      const place = await open();
      const folder = join(await temporaryFolder(), "out");
      const run = client(place, folder);
      await place.isPosted();
      const helper = place.worker(["--idle", "1"]);
      await place.holdAtWork(helper);
      await run.kill();
      const { redis } = place.connection;
      const keys = await redis.keys("quern:run:*");
      for (const key of keys) {
        expect(await redis.pttl(key)).toBeLessThanOrEqual(20_000);
        await redis.pexpire(key, 1);
      }
      helper.process.kill("SIGCONT");
      expect(await helper.ended).toBe(0);
      expect(helper.text).toMatch(/left: \d+ jobs done/);
      const again = place.convert(demoCheckpoint, ["-t", types.join(","), "-o", `${folder}/`]);
      expect(await again.ended, again.text).toBe(0);
      expect(await hashesOf(folder)).toEqual(local);
    });

    it("works for two clients of one queue, one after the other, and refuses a second one of the same files", async () => {
      const place = await open();
      const folders = [await temporaryFolder(), await temporaryFolder()].map((folder) => join(folder, "out"));
      const runs = folders.map((folder) => client(place, folder));
      await until(async () => (await place.connection.redis.zcard("quern:runs")) === 2);
      const same = client(place, folders[0]!);
      expect(await same.ended).toBe(4);
      expect(same.text).toMatch(/code +OUTPUT_IN_USE/);
      place.worker();
      place.worker();
      for (const [index, run] of runs.entries()) {
        expect(await run.ended, run.text).toBe(0);
        expect(await hashesOf(folders[index]!)).toEqual(local);
      }
    });

    it("ends when another machine has begun to write the same files", async () => {
      const server = await RedisServer.start();
      closing.push(() => server.stop());
      const plan = await planHere(await temporaryFolder());
      const begin = async (signal: AbortSignal): Promise<unknown> => {
        const connection = await connectQueue({ address: parseQueueAddress(server.url) });
        closing.push(() => connection.close());
        const delegate = delegateToQueue({ connection, ...requested(plan), works: false });
        const work = plan.tensors.map((_, tensor) => ({ tensor, outputs: [0] }));
        return delegate.run({ plan, work, signal, onStart: () => undefined, onDone: async () => undefined });
      };
      const [first, second] = [new AbortController(), new AbortController()];
      const taken = failureOf(begin(first.signal));
      const connection = await connectQueue({ address: parseQueueAddress(server.url) });
      closing.push(() => connection.close());
      await until(async () => (await connection.redis.zcard("quern:runs")) === 1);
      const stopped = failureOf(begin(second.signal));
      expect(await taken).toMatchObject({ code: "QUEUE_RUN_TAKEN" });
      expect(await connection.redis.zcard("quern:runs")).toBe(1);
      second.abort(new Error("enough"));
      expect(await stopped).toMatchObject({ message: "enough" });
      expect(await connection.redis.keys("*")).toEqual([]);
    });
  },
);
