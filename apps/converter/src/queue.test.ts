// Conversions on several machines: real processes of the compiled program, and a real Redis that asks for a password.

import { cp, open, readdir, readFile, stat, symlink, truncate, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { work } from "@quern/queue";
import { redisProgram } from "@quern/queue/testing";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { hashesOf, ProgramProcess, until } from "./testing/program-process.ts";
import { QueuePlace } from "./testing/queue-place.ts";
import { demoCheckpoint, runCli, temporaryFolder } from "./testing/run-cli.ts";

const PASSWORD = "geheim/1%";

/** Enough work that processes can be caught at it. */
const types = "Q2_K,Q3_K_S,Q3_K_M,Q3_K_L,Q4_K_S,Q4_K_M,Q5_K_S,Q5_K_M,Q6_K";

describe.skipIf(redisProgram === undefined)(
  "quern convert --queue (tools/redis.sh gets a redis-server)",
  () => {
    let place: QueuePlace;
    let local: Record<string, string>;
    let queue: readonly string[];

    beforeAll(async () => {
      place = await QueuePlace.open({ password: PASSWORD });
      await place.watch();
      queue = ["--queue", place.server.url];
      const folder = join(await temporaryFolder(), "local");
      await new ProgramProcess(["convert", demoCheckpoint, "-t", types, "-o", `${folder}/`, "-q"]).ended;
      local = await hashesOf(folder);
      return () => place.close();
    });

    afterEach(() => place.clear());

    const start = (argv: readonly string[], env?: Readonly<Record<string, string>>): ProgramProcess =>
      place.start(argv, env);

    const worker = (...more: string[]): ProgramProcess => place.worker(more);

    const coordinator = (folder: string, ...more: string[]): ProgramProcess =>
      place.convert(demoCheckpoint, ["-t", types, "-o", `${folder}/`, ...more]);

    it("writes the same files with two workers of which one is killed at work", async () => {
      const folder = join(await temporaryFolder(), "out");
      const first = worker();
      const run = coordinator(folder, "--no-work");
      await place.holdAtWork(first);
      const held = await place.dump();
      place.seen += held;
      expect(held).toContain("quern-demo");
      first.process.kill("SIGKILL");
      const second = worker();
      expect(await run.ended).toBe(0);
      expect(run.text).toMatch(/works, too/);
      expect(await hashesOf(folder)).toEqual(local);
      await second.says("left: ");
      // What is left is gone by itself in a moment.
      const keys = await place.connection.redis.keys("*");
      for (const key of keys) expect(await place.connection.redis.pttl(key), key).toBeGreaterThan(0);
    });

    it("works by itself, too, and without any worker", async () => {
      const folder = join(await temporaryFolder(), "out");
      const run = coordinator(folder, "-j", "2");
      expect(await run.ended).toBe(0);
      expect(await hashesOf(folder)).toEqual(local);
    });

    it("splits files, weighs by importance and measures as one machine does", async () => {
      const folder = await temporaryFolder();
      const [texts, imatrix] = [join(folder, "texts.txt"), join(folder, "imatrix.gguf")];
      await writeFile(texts, "Grain is ground between two stones. ".repeat(100));
      const prepared = start([
        "imatrix",
        demoCheckpoint,
        "-f",
        texts,
        "-c",
        "64",
        "--chunks",
        "2",
        "-o",
        imatrix,
      ]);
      expect(await prepared.ended, prepared.text).toBe(0);
      const argv = ["convert", demoCheckpoint, "-t", "IQ4_XS,Q4_K_M", "--imatrix", imatrix];
      argv.push("--split-max-tensors", "9", "--no-tensor-first-split", "--tensor-type", "attn_k=q8_0");
      const errors = async (place: string): Promise<unknown> => {
        const { conversion } = JSON.parse(await readFile(`${place}.json`, "utf8")) as {
          conversion: { outputs: readonly { readonly errors: object }[] };
        };
        return conversion.outputs.map((output) => output.errors);
      };
      const [alone, shared] = [join(folder, "alone"), join(folder, "shared")];
      const to = (place: string): string[] => ["-o", `${place}/`, "--report", `${place}.json`];
      const run = start([...argv, ...to(alone)]);
      expect(await run.ended, run.text).toBe(0);
      worker();
      const queued = start([...argv, ...to(shared), "--no-work", ...queue]);
      expect(await queued.ended, queued.text).toBe(0);
      const files = await hashesOf(shared);
      expect(files).toEqual(await hashesOf(alone));
      expect(Object.keys(files).length).toBeGreaterThan(8);
      expect(await errors(shared)).toEqual(await errors(alone));
    });

    it("is taken up again when the coordinator was killed", async () => {
      const folder = join(await temporaryFolder(), "out");
      const helper = worker();
      const killed = coordinator(folder, "--no-work");
      for (;;) {
        await place.holdAtWork(helper);
        await sleep(400);
        if (killed.text.includes(" of 5.77 MB  ")) break;
        helper.process.kill("SIGCONT");
        await sleep(20);
      }
      killed.process.kill("SIGKILL");
      await killed.ended;
      expect((await readdir(folder)).filter((name) => name.endsWith(".gguf"))).toEqual([]);
      helper.process.kill("SIGCONT");
      const again = coordinator(folder, "--no-work");
      expect(await again.ended).toBe(0);
      expect(again.text).toMatch(/going on: [1-9]\d* tensors are complete\n/);
      expect(await hashesOf(folder)).toEqual(local);
    });

    it("takes its jobs back when it is interrupted", async () => {
      const folder = join(await temporaryFolder(), "out");
      const run = coordinator(folder, "--no-work");
      await place.isPosted();
      run.process.kill("SIGINT");
      expect(await run.ended).toBe(130);
      expect(run.text).toContain("INTERRUPTED");
      expect(await place.connection.redis.keys("*")).toEqual([]);
    });

    it("finds everything below another root", async () => {
      const [here, there] = [await temporaryFolder(), await temporaryFolder()];
      await cp(demoCheckpoint, join(here, "demo"), { recursive: true });
      await symlink(here, join(there, "mounted"));
      const helper = worker("--root", join(there, "mounted"));
      const argv = ["convert", join(here, "demo"), "-t", types, "-o", join(here, "out/"), "--root", here];
      const run = start([...argv, "--no-work", "--manifest", ...queue]);
      expect(await run.ended).toBe(0);
      expect(helper.text).toContain("works on demo");
      // Each has a manifest beside it, too.
      expect(Object.values(await hashesOf(join(here, "out")))).toHaveLength(2 * Object.keys(local).length);
    });

    it("is refused by workers that would write other bytes, and says so", async () => {
      const [folder, elsewhere] = [await temporaryFolder(), await temporaryFolder()];
      await cp(demoCheckpoint, join(folder, "demo"), { recursive: true });
      await cp(demoCheckpoint, join(elsewhere, "demo"), { recursive: true });
      const path = join(elsewhere, "demo", "config.json");
      const config = JSON.parse(await readFile(path, "utf8")) as Record<string, unknown>;
      await writeFile(path, JSON.stringify({ ...config, max_position_embeddings: 77 }));
      const run = start([
        "convert",
        join(folder, "demo"),
        "-o",
        join(folder, "out/"),
        "--no-work",
        "--root",
        folder,
        ...queue,
      ]);
      await until(async () => (await place.connection.redis.zcard("quern:runs")) > 0);

      const otherPlan = worker("--root", elsewhere, "--idle", "3");
      await run.says(/does not work: .*the plan comes out otherwise here.*\(QUEUE_OTHER_RUN\)/);
      await otherPlan.says(/refused: .*QUEUE_OTHER_RUN/);
      expect(await otherPlan.ended).toBe(0);

      const withoutRoot = worker("--idle", "3");
      await run.says(/does not work: .*QUEUE_ROOT_MISSING/);
      await withoutRoot.says(/QUEUE_ROOT_MISSING/);

      const events: string[] = [];
      await work({
        connection: place.connection,
        tool: "quern 99.0.0",
        plan: () => Promise.reject(new Error("nothing is planned for a run of another version")),
        name: "other-version",
        lease: 1000,
        idle: 1500,
        signal: new AbortController().signal,
        onEvent: (event) => events.push(event.type === "run:refused" ? String(event.error) : event.type),
      });
      expect(events).toEqual([expect.stringMatching(/the run is of quern \S+, and this is quern 99\.0\.0/)]);
      await run.says(/other-version does not work: .*quern 99\.0\.0/);

      const good = worker("--root", folder);
      expect(await run.ended).toBe(0);
      expect(good.text).toContain("works on demo");
    });

    it("fails when what workers write is not in its files", async () => {
      const [folder, elsewhere] = [await temporaryFolder(), await temporaryFolder()];
      await cp(demoCheckpoint, join(folder, "demo"), { recursive: true });
      const run = start([
        "convert",
        join(folder, "demo"),
        "-o",
        join(folder, "out/"),
        "--no-work",
        "--root",
        folder,
        ...queue,
      ]);
      await until(async () => (await place.connection.redis.zcard("quern:runs")) > 0);
      await cp(demoCheckpoint, join(elsewhere, "demo"), { recursive: true });
      const unshared = worker("--root", elsewhere, "--idle", "1");
      await run.says(/does not work: .*on storage that all machines share.*\(QUEUE_NOT_SHARED\)/);
      await unshared.says(/refused: .*QUEUE_NOT_SHARED/);
      expect(await unshared.ended).toBe(0);
      await cp(join(folder, "out"), join(elsewhere, "out"), { recursive: true });
      worker("--root", elsewhere);
      expect(await run.ended).toBe(4);
      expect(run.text).toMatch(/is converted once more/);
      expect(run.text).toMatch(/tensor "[\w.]+": .*storage that all machines share/);
      expect(run.text).toContain("QUEUE_BYTES_DIFFER");
      expect(await place.connection.redis.zcard("quern:runs")).toBe(0);
    });

    it("fails with the tensor that cannot be converted, as on one machine", async () => {
      const folder = await temporaryFolder();
      await cp(demoCheckpoint, join(folder, "demo"), { recursive: true });
      const weights = await open(join(folder, "demo", "model.safetensors"), "r+");
      const header = Buffer.alloc(8);
      await weights.read(header, 0, 8, 0);
      const table = Buffer.alloc(Number(header.readBigUInt64LE()));
      await weights.read(table, 0, table.length, 8);
      const { "model.layers.1.mlp.up_proj.weight": broken } = JSON.parse(table.toString()) as Record<
        string,
        { data_offsets: [number, number] }
      >;
      await weights.write(Buffer.of(0xc0, 0x7f), 0, 2, 8 + table.length + broken!.data_offsets[0]);
      await weights.close();
      const argv = ["convert", join(folder, "demo"), "-t", "Q4_K_M", "-o", join(folder, "out/")];
      const alone = start(argv);
      expect(await alone.ended).toBe(3);
      const helper = worker();
      const run = start([...argv, "--no-work", ...queue]);
      expect(await run.ended).toBe(3);
      const facts = /error: .*\n.*code +WEIGHT_NOT_FINITE\n.*tensor +blk\.1\.ffn_up\.weight/;
      expect(alone.text).toMatch(facts);
      expect(run.text).toMatch(facts);
      await helper.says(/failed: .*WEIGHT_NOT_FINITE/);
      expect(await readdir(join(folder, "out"))).toEqual([]);
    });

    it("tries a job a few times before it gives up, and goes on once that is mended", async () => {
      const folder = await temporaryFolder();
      const weights = join(folder, "demo", "model.safetensors");
      await cp(demoCheckpoint, join(folder, "demo"), { recursive: true, preserveTimestamps: true });
      const [kept, { atime, mtime }] = [await readFile(weights), await stat(weights)];
      const helper = worker();
      const argv = ["convert", join(folder, "demo"), "-t", types, "-o", join(folder, "out/"), "--no-work"];
      const run = start([...argv, ...queue]);
      await place.holdAtWork(helper);
      await truncate(weights, kept.length / 2);
      helper.process.kill("SIGCONT");
      expect(await run.ended).toBe(3);
      expect(run.text).toMatch(
        /error: .*\(tried 3 times\)[^]*code +(SOURCE_TRUNCATED|CHECKPOINT_CHANGED)[^]*tensor +[\w.]+/,
      );
      await writeFile(weights, kept);
      await utimes(weights, atime, mtime);
      expect(await start([...argv, ...queue]).ended).toBe(0);
      expect(Object.values(await hashesOf(join(folder, "out")))).toHaveLength(types.split(",").length);
    });

    it("does not begin where Redis does not let it in, or options are for one machine", async () => {
      const folder = await temporaryFolder();
      const argv = ["convert", demoCheckpoint, "-o", join(folder, "out/")];
      const refused = start([...argv, "--queue", `redis://:falsch@127.0.0.1:${place.server.port}`], {
        DEBUG: "*",
      });
      expect(await refused.ended).toBe(1);
      expect(refused.text).toContain("QUEUE_REFUSED");
      expect(refused.text).not.toContain("falsch");
      const password = start([...argv, "--queue", `redis://127.0.0.1:${place.server.port}`, "--dry-run"], {
        QUERN_QUEUE_PASSWORD: PASSWORD,
        DEBUG: "*",
      });
      expect(await password.ended).toBe(0);
      for (const [options, code] of [
        [["--queue", "falsch"], "QUEUE_ADDRESS_INVALID"],
        [[...queue, "--sequential"], "USAGE_QUEUE"],
        [[...queue, "--rounding", "gptq", "--sequential"], "USAGE_QUEUE"],
        [[...queue, "--to", "gptq", "--sequential"], "USAGE_QUEUE"],
        [["--to", "bnb", "--root", folder], "USAGE_QUEUE"],
        [["--no-work"], "USAGE_QUEUE"],
      ] as const) {
        const { exitCode, stderr } = await runCli({ argv: [...argv, ...options] });
        expect(exitCode, stderr).toBe(2);
        expect(stderr).toContain(code);
        expect(stderr).not.toContain("falsch");
      }
      expect(await readdir(folder)).toEqual([]);
    });

    it("shows the password to nobody, however much is asked for", async () => {
      const folder = join(await temporaryFolder(), "out");
      const env = { DEBUG: "*" };
      const helper = start(["worker", ...queue, "-j", "1", "--idle", "1"], env);
      const run = start(["convert", demoCheckpoint, "-o", `${folder}/`, ...queue, "--json"], env);
      expect(await run.ended).toBe(0);
      expect(await helper.ended).toBe(0);
      expect(Object.keys(await hashesOf(folder))).toHaveLength(1);
    });

    it("has shown it to nobody in all of these runs", () => {
      expect(place.seen.length).toBeGreaterThan(10_000);
      expect(place.seen).not.toContain(PASSWORD);
      expect(place.seen).not.toContain(encodeURIComponent(PASSWORD));
    });
  },
);
