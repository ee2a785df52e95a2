// Quantized checkpoints, and GGUF files that are rounded by inputs, on several machines: real processes of the compiled program, and a real
// Redis.

import { cp, mkdtemp, open, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HubServer, sha256, UploadStore, writingRoutes } from "@quern/hub/testing";
import { redisProgram } from "@quern/queue/testing";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { hashesOf, ProgramProcess, until } from "./testing/program-process.ts";
import { QueuePlace } from "./testing/queue-place.ts";
import { demoCheckpoint, longSearch, runCli, temporaryFolder } from "./testing/run-cli.ts";

/** Ranges that are searched, in several files: enough work that processes can be caught at it. */
const SEARCHED = [...longSearch, "--split-max-size", "700K"];

/** Factors that are chosen before anything is rounded. */
const SCALED = ["--to", "awq"];

const ROUNDED = ["-t", "Q4_K_M,F16", "--rounding", "gptq", "--manifest"];

describe.skipIf(redisProgram === undefined)(
  "quern convert --queue of layers (tools/redis.sh gets a redis-server)",
  () => {
    let place: QueuePlace;
    let statistics: string;
    let local: Record<string, string>;

    /** Runs a conversion to its end, by this machine alone. */
    const alone = async (
      options: readonly string[],
      folder: string,
      model = demoCheckpoint,
    ): Promise<Record<string, string>> => {
      const run = new ProgramProcess(["convert", model, ...options, "-o", folder, "-q", "-j", "1"]);
      expect(await run.ended, run.text).toBe(0);
      return hashesOf(folder);
    };

    beforeAll(async () => {
      place = await QueuePlace.open();
      const folder = await mkdtemp(join(tmpdir(), "quern-statistics-"));
      statistics = join(folder, "statistics.safetensors");
      const collected = [
        "calibrate",
        demoCheckpoint,
        "--tokens",
        "2048",
        "--hold-out",
        "2",
        "-o",
        statistics,
      ];
      await new ProgramProcess([...collected, "-q"]).ended;
      local = await alone(SEARCHED, join(folder, "local"));
      return async () => {
        await place.close();
        await rm(folder, { recursive: true });
      };
    });

    afterEach(() => place.clear());

    it("writes the same folder with two workers of which one is killed at work", async () => {
      const folder = join(await temporaryFolder(), "out");
      const first = place.worker();
      const run = place.convert(demoCheckpoint, [...SEARCHED, "-o", folder, "--no-work"]);
      await place.holdAtWork(first);
      const held = await place.dump();
      first.process.kill("SIGKILL");
      const second = place.worker();
      expect(await run.ended, run.text).toBe(0);
      expect(run.text).toMatch(/works, too/);
      expect(await hashesOf(folder)).toEqual(local);
      expect(Object.keys(local).filter((name) => name.endsWith(".safetensors")).length).toBeGreaterThan(2);
      expect(Object.keys(local)).toEqual(
        expect.arrayContaining(["model.safetensors.index.json", "quern-manifest.json", "README.md"]),
      );
      await second.says("left: ");
      // References: recipe and places, and nothing as large as weights.
      expect(held).toContain('"container":"safetensors"');
      expect(held.length).toBeLessThan(50_000);
    });

    it("works by itself, too, and without any worker", async () => {
      const folder = join(await temporaryFolder(), "out");
      const run = place.convert(demoCheckpoint, [...SEARCHED, "-o", folder, "-j", "2"]);
      expect(await run.ended, run.text).toBe(0);
      expect(await hashesOf(folder)).toEqual(local);
    });

    it("goes on by a queue with what was begun alone, and alone with what was begun by a queue", async () => {
      const folder = join(await temporaryFolder(), "out");
      const journal = `${folder}.partial.journal`;
      const isNoted = async (layers: number): Promise<boolean> =>
        (await readFile(journal, "utf8").catch(() => "")).split('"layer":').length > layers;
      const argv = [...SEARCHED, "-o", folder];

      const begun = place.start(["convert", demoCheckpoint, ...argv, "-j", "1"]);
      await until(() => isNoted(3));
      begun.process.kill("SIGKILL");
      await begun.ended;
      const helper = place.worker();
      const byQueue = place.convert(demoCheckpoint, [...argv, "--no-work"]);
      await byQueue.says(/going on: [1-9]\d* tensors are complete/);
      await until(() => isNoted(12));
      byQueue.process.kill("SIGKILL");
      await byQueue.ended;
      expect(await readdir(join(folder, ".."))).not.toContain("out");
      await helper.kill();
      const last = place.start(["convert", demoCheckpoint, ...argv, "-j", "1"]);
      expect(await last.ended, last.text).toBe(0);
      expect(last.text).toMatch(/going on: [1-9]\d* tensors are complete/);
      expect(await hashesOf(folder)).toEqual(local);

      // Another recipe does not go on with it, by whomever it is made.
      const other = place.start(["convert", demoCheckpoint, ...argv, "-f"]);
      await until(() => isNoted(1));
      other.process.kill("SIGKILL");
      await other.ended;
      const mixed = place.convert(demoCheckpoint, ["--to", "bnb", "-o", folder, "-f", "--no-work"]);
      expect(await mixed.ended).toBe(4);
      expect(mixed.text).toContain("RESUME_OTHER_RUN");
    });

    it("takes statistics from storage that is shared, and chooses factors block by block", async () => {
      const folder = await temporaryFolder();
      const [here, there] = [join(folder, "here"), join(folder, "there")];
      const argv = [...SCALED, "--statistics", statistics];
      const wanted = await alone(argv, here);
      const first = place.worker(["--verbose"]);
      const run = place.convert(demoCheckpoint, [...argv, "-o", there, "--no-work"]);
      await first.says(/converted blk\.\d in/);
      const killed = place.worker(["--verbose"]);
      await killed.says("works on quern-demo");
      killed.process.kill("SIGKILL");
      expect(await run.ended, run.text).toBe(0);
      expect(await hashesOf(there)).toEqual(wanted);
      // Each block once, but for what the one that was killed had in hand.
      expect(first.text.match(/converted blk\.\d/g)!.length).toBeLessThanOrEqual(4);
    });

    it("rounds tensors of GGUF by their inputs", async () => {
      const folder = await temporaryFolder();
      const argv = [...ROUNDED, "--statistics", statistics];
      const wanted = await alone(argv, `${join(folder, "here")}/`);
      const first = place.worker();
      const run = place.convert(demoCheckpoint, [...argv, "-o", `${join(folder, "there")}/`, "--no-work"]);
      // Tensors that no inputs steer come first.
      await first.says("left: ");
      await place.holdAtWork(first);
      first.process.kill("SIGKILL");
      place.worker();
      expect(await run.ended, run.text).toBe(0);
      expect(await hashesOf(join(folder, "there"))).toEqual(wanted);
    });

    it("folds factors into tensors of GGUF", async () => {
      const folder = await temporaryFolder();
      const argv = ["-t", "Q3_K_M", "--rounding", "gptq", "--transform", "smooth-quant"];
      argv.push("--statistics", statistics);
      const wanted = await alone(argv, `${join(folder, "here")}/`);
      place.worker();
      const run = place.convert(demoCheckpoint, [...argv, "-o", `${join(folder, "there")}/`, "--no-work"]);
      expect(await run.ended, run.text).toBe(0);
      expect(await hashesOf(join(folder, "there"))).toEqual(wanted);
    });

    it("is refused by workers with other statistics or kernels, or that may not touch its folder", async () => {
      const [folder, elsewhere] = [await temporaryFolder(), await temporaryFolder()];
      for (const root of [folder, elsewhere]) {
        await cp(demoCheckpoint, join(root, "demo"), { recursive: true });
      }
      await cp(statistics, join(folder, "statistics.safetensors"));
      const other = ["calibrate", demoCheckpoint, "--tokens", "1024", "-q"];
      const collected = place.start([...other, "-o", join(elsewhere, "statistics.safetensors")]);
      expect(await collected.ended).toBe(0);
      const argv = ["--to", "gptq", "--statistics", join(folder, "statistics.safetensors")];
      const out = ["-o", join(folder, "out"), "--root", folder, "--no-work"];
      const run = place.convert(join(folder, "demo"), [...argv, ...out]);
      await place.isPosted();
      const stranger = place.worker(["--root", elsewhere, "--idle", "3"]);
      await run.says(/does not work: .*statistics hold other inputs here.*\(QUEUE_OTHER_RUN\)/);
      const wasm = place.worker(["--root", folder, "--kernels", "wasm", "--idle", "3"]);
      await run.says(/does not work: .*sums are those of the kernels, which are wasm .*\(QUEUE_OTHER_RUN\)/);
      expect(await stranger.ended).toBe(0);
      expect(await wasm.ended).toBe(0);
      expect((await readdir(elsewhere)).sort()).toEqual(["demo", "statistics.safetensors"]);
      place.worker(["--root", folder]);
      expect(await run.ended, run.text).toBe(0);

      const absolute = place.convert(demoCheckpoint, ["--to", "bnb", "-o", join(folder, "bnb"), "--no-work"]);
      await place.isPosted();
      place.worker(["--root", elsewhere, "--idle", "3"]);
      await absolute.says(/does not work: .*\(QUEUE_PATH_OUTSIDE\)/);
    });

    it("refuses what depends on what layers become, before anything is read", async () => {
      const folder = await temporaryFolder();
      for (const options of [
        ["--to", "gptq"],
        ["-t", "Q4_K_M", "--rounding", "gptq"],
      ]) {
        const argv = ["convert", demoCheckpoint, ...options, "--sequential", "-o", join(folder, "out")];
        const { exitCode, stderr } = await runCli({ argv: [...argv, "--queue", place.server.url] });
        expect(exitCode).toBe(2);
        expect(stderr).toContain("USAGE_QUEUE");
        expect(stderr).toContain("--statistics instead");
      }
      expect(await readdir(folder)).toEqual([]);
    });

    it("fails for jobs that nobody has posted, and keeps what is done", async () => {
      const folder = join(await temporaryFolder(), "out");
      const run = place.convert(demoCheckpoint, [...SEARCHED, "-o", folder, "--no-work"]);
      await place.isPosted();
      const { redis } = place.connection;
      const [key] = await redis.keys("quern:run-*:job-0");
      await redis.hset(key!, "data", JSON.stringify({ work: [{ tensor: 10_000 }] }));
      const helper = place.worker();
      expect(await run.ended).not.toBe(0);
      expect(run.text).toContain("QUEUE_JOB_INVALID");
      await helper.says(/failed: .*QUEUE_JOB_INVALID/);
      expect(await place.convert(demoCheckpoint, [...SEARCHED, "-o", folder]).ended).toBe(0);
      expect(await hashesOf(folder)).toEqual(local);
    });

    it("fails when what workers write is not in its files", async () => {
      const [folder, elsewhere] = [await temporaryFolder(), await temporaryFolder()];
      await cp(demoCheckpoint, join(folder, "demo"), { recursive: true });
      const out = ["-o", join(folder, "out"), "--root", folder, "--no-work"];
      const run = place.convert(join(folder, "demo"), ["--to", "bnb", ...out]);
      await place.isPosted();
      await cp(demoCheckpoint, join(elsewhere, "demo"), { recursive: true });
      const unshared = place.worker(["--root", elsewhere, "--idle", "1"]);
      await run.says(/does not work: .*on storage that all machines share.*\(QUEUE_NOT_SHARED\)/);
      expect(await unshared.ended).toBe(0);
      await cp(join(folder, "out.partial"), join(elsewhere, "out.partial"), { recursive: true });
      place.worker(["--root", elsewhere]);
      expect(await run.ended).toBe(4);
      expect(run.text).toContain("QUEUE_BYTES_DIFFER");
      expect(await readdir(folder)).not.toContain("out");
    });

    it("reads a repository of the Hub on every machine, and publishes the folder", async () => {
      const uploads = await UploadStore.create();
      const hub = await HubServer.start({
        id: "org/quern-demo",
        folder: demoCheckpoint,
        routes: writingRoutes(uploads),
      });
      try {
        uploads.writers.add("hf_of_the_client");
        for (const token of ["hf_of_the_client", "hf_of_the_worker"]) hub.tokens.add(token);
        const folder = await temporaryFolder();
        const env = (token: string): Record<string, string> => ({
          HF_ENDPOINT: hub.endpoint,
          HF_TOKEN: token,
          HF_HOME: folder,
        });
        const argv = ["publish", "hf:org/quern-demo", "--to", "bnb", "--repo", "mill/demo-nf4"];
        const options = ["-o", join(folder, "files"), "--queue", place.server.url, "--no-work"];
        const run = place.start([...argv, ...options], env("hf_of_the_client"));
        await place.isPosted();
        const helper = place.worker([], env("hf_of_the_worker"));
        expect(await run.ended, run.text).toBe(0);
        expect(helper.text).toContain("works on quern-demo");
        const authorization = "Bearer hf_of_the_worker";
        const own = hub.requests.filter((request) => request.authorization === authorization);
        expect(own.some(({ path }) => path.endsWith(".safetensors"))).toBe(true);
        const wanted = place.start(
          ["convert", "hf:org/quern-demo", "--to", "bnb", "-o", join(folder, "alone")],
          env("hf_of_the_client"),
        );
        expect(await wanted.ended, wanted.text).toBe(0);
        const { files } = hub.repositories.get("mill/demo-nf4")!.head;
        // The card of a publication says more.
        const { "README.md": _card, ...made } = await hashesOf(join(folder, "alone"));
        for (const [name, hash] of Object.entries(made)) {
          const { content } = files.get(name)!;
          expect(sha256(content.read(0, content.size)), name).toBe(hash);
        }
        expect(await place.dump()).not.toContain("hf_of_the");
      } finally {
        await place.endProcesses();
        await hub.stop();
        await uploads.remove();
      }
    });

    it("makes again what is damaged in files that were begun", async () => {
      const folder = join(await temporaryFolder(), "out");
      const first = place.worker();
      const run = place.convert(demoCheckpoint, [...SEARCHED, "-o", folder, "--no-work"]);
      const journal = `${folder}.partial.journal`;
      await until(async () => (await readFile(journal, "utf8").catch(() => "")).split('"layer":').length > 8);
      run.process.kill("SIGKILL");
      await run.ended;
      await first.kill();
      for (const name of await readdir(`${folder}.partial`)) {
        const file = await open(join(`${folder}.partial`, name), "r+");
        const { size } = await file.stat();
        await file.write(Buffer.alloc(size / 4, 0x5a), 0, undefined, size / 2);
        await file.close();
      }
      place.worker();
      const again = place.convert(demoCheckpoint, [...SEARCHED, "-o", folder, "--no-work"]);
      expect(await again.ended, again.text).toBe(0);
      expect(again.text).toMatch(/are done again/);
      expect(await hashesOf(folder)).toEqual(local);
    });
  },
);
