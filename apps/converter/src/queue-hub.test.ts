// Conversions on several machines of a repository of the Hub: every process reads it by itself, with a token of its own.

import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { HubServer, memoryContent, sha256, storedFile, UploadStore, writingRoutes } from "@quern/hub/testing";
import { redisProgram } from "@quern/queue/testing";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { hashesOf, ProgramProcess } from "./testing/program-process.ts";
import { QueuePlace } from "./testing/queue-place.ts";
import { demoCheckpoint, runCli, temporaryFolder } from "./testing/run-cli.ts";

/** Enough work that processes can be caught at it. */
const types = "Q3_K_M,Q4_K_M,Q5_K_M";

const TOKENS = { client: "hf_of_the_client", first: "hf_of_the_first", second: "hf_of_the_second" };

describe.skipIf(redisProgram === undefined)(
  "quern convert --queue from the Hub (tools/redis.sh gets a redis-server)",
  () => {
    let place: QueuePlace;
    let hub: HubServer;
    let uploads: UploadStore;
    let home: string;
    let local: Record<string, string>;

    beforeAll(async () => {
      place = await QueuePlace.open();
      await place.watch();
      const folder = join(await temporaryFolder(), "local");
      await new ProgramProcess(["convert", demoCheckpoint, "-t", types, "-o", `${folder}/`, "-q"]).ended;
      local = await hashesOf(folder);
      return () => place.close();
    });

    beforeEach(async () => {
      home = await temporaryFolder();
      uploads = await UploadStore.create();
      uploads.writers.add(TOKENS.client);
      const routes = writingRoutes(uploads);
      hub = await HubServer.start({ id: "org/quern-demo", folder: demoCheckpoint, routes });
      for (const token of Object.values(TOKENS)) hub.tokens.add(token);
    });

    afterEach(async () => {
      await place.clear();
      await hub.stop();
      await uploads.remove();
    });

    const env = (token: string): Record<string, string> => ({
      HF_ENDPOINT: hub.endpoint,
      HF_TOKEN: token,
      HF_HOME: home,
    });

    const client = (folder: string): ProgramProcess =>
      place.convert("hf:org/quern-demo", ["-t", types, "-o", `${folder}/`, "--no-work"], env(TOKENS.client));

    /** Requests for bytes of weights by whoever has a token. */
    const rangesOf = (token: string): number =>
      hub.requests.filter(
        ({ authorization, path }) => authorization === `Bearer ${token}` && path.endsWith(".safetensors"),
      ).length;

    it("reads the commit that the client found, whatever becomes of the branch and of a worker", async () => {
      const folder = join(await temporaryFolder(), "out");
      const run = client(folder);
      await place.isPosted();
      // The branch moves on: without a configuration, there is nothing to convert.
      const files = new Map(hub.repository.head.files);
      files.set("config.json", storedFile("config.json", memoryContent(Buffer.from("{}"))));
      hub.repository.commit({ files });

      const first = place.worker([], env(TOKENS.first));
      await place.holdAtWork(first);
      place.seen += await place.dump();
      first.process.kill("SIGKILL");
      const second = place.worker([], env(TOKENS.second));
      expect(await run.ended, run.text).toBe(0);
      expect(await hashesOf(folder)).toEqual(local);
      await second.says("left: ");
      expect(rangesOf(TOKENS.first)).toBeGreaterThan(0);
      expect(rangesOf(TOKENS.second)).toBeGreaterThan(0);
    });

    it("goes on without a worker that the Hub does not let in", async () => {
      const folder = join(await temporaryFolder(), "out");
      const run = client(folder);
      await place.isPosted();
      const stranger = place.worker(["--idle", "2"], env("hf_unknown"));
      await run.says(/does not work: .*\(HUB_(UNAUTHORIZED|REPOSITORY_NOT_FOUND)\)/);
      await stranger.says(/refused: .*HUB_/);
      const good = place.worker([], env(TOKENS.first));
      expect(await run.ended, run.text).toBe(0);
      expect(await hashesOf(folder)).toEqual(local);
      expect(good.text).toContain("works on quern-demo");
    });

    it("tells what the Hub answers to a worker, and goes on another time", async () => {
      const folder = join(await temporaryFolder(), "out");
      let ranges = 0;
      hub.faults.push(({ seen, response }) => {
        if (seen.host !== "cdn" || seen.method !== "GET" || ++ranges < 12) return false;
        response.writeHead(403).end();
        return true;
      });
      const run = client(folder);
      await place.isPosted();
      const helper = place.worker([], env(TOKENS.first));
      expect(await run.ended, run.text).toBe(3);
      place.seen += await place.dump();
      expect(run.text).toMatch(/code +(HUB|SOURCE)_/);
      await helper.says(/failed: /);
      expect((await readdir(folder)).filter((name) => name.endsWith(".gguf"))).toEqual([]);
      hub.faults.length = 0;
      expect(await client(folder).ended).toBe(0);
      expect(await hashesOf(folder)).toEqual(local);
    });

    it("publishes what workers make", async () => {
      const id = "mill/demo-GGUF";
      const cwd = await temporaryFolder();
      const options = ["-t", types, "--repo", id, "-o", join(cwd, "files")];
      const queue = ["--queue", place.server.url];
      const argv = ["publish", "hf:org/quern-demo", ...options];
      const refused = await runCli({ argv: [...argv, ...queue, "--sequential"], env: env(TOKENS.client) });
      expect(refused.exitCode).toBe(2);
      expect(refused.stderr).toContain("USAGE_QUEUE");
      const helper = place.worker([], env(TOKENS.first));
      const run = place.start([...argv, ...queue, "--no-work"], env(TOKENS.client));
      expect(await run.ended, run.text).toBe(0);
      expect(run.text).toMatch(/works, too/);
      expect(helper.text).toContain("works on quern-demo");
      const alone = join(cwd, "alone");
      const local = ["convert", "hf:org/quern-demo", "-t", types, "-o", `${alone}/`, "--manifest"];
      expect(await place.start(local, env(TOKENS.client)).ended).toBe(0);
      const { files } = hub.repositories.get(id)!.head;
      const wanted = await hashesOf(alone);
      expect(Object.keys(wanted)).toHaveLength(2 * types.split(",").length);
      for (const [name, hash] of Object.entries(wanted)) {
        const { content } = files.get(name)!;
        expect(sha256(content.read(0, content.size)), name).toBe(hash);
      }
    });

    it("has sent no token and no signature through Redis, nor said one", () => {
      expect(place.seen).toContain("hf:org/quern-demo@");
      expect(place.seen.length).toBeGreaterThan(100_000);
      for (const token of Object.values(TOKENS)) expect(place.seen).not.toContain(token);
      expect(place.seen).not.toContain("hf_unknown");
      expect(place.seen).not.toContain("X-Signature");
    });
  },
);
