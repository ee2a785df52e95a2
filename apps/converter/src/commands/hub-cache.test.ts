import { writeFileSync } from "node:fs";
import { readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { everyNth, type Exchange, firstOf, HubServer, isWeights, resetMidBody } from "@quern/hub/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { exitCodes } from "../exit-codes.ts";
import { type CliRun, demoCheckpoint, repositoryPath, runCli, temporaryFolder } from "../testing/run-cli.ts";

const TOKEN = "hf_KnownToNobody0123456789";
const golden = repositoryPath("fixtures/golden/llama31-bpe/checkpoint");

let home: string;
let server: HubServer;

async function serve(folder: string): Promise<void> {
  server = await HubServer.start({ id: `org/${basename(folder)}`, folder });
  server.tokens.add(TOKEN);
}
beforeEach(async () => {
  home = await temporaryFolder();
});
afterEach(() => server.stop());

const model = (): string => `hf:${server.repository.id}`;

async function run(
  argv: readonly string[],
  env: Record<string, string> = {},
  onStderr: (text: string) => void = () => undefined,
): Promise<CliRun> {
  const result = await runCli({
    argv,
    onStderr,
    cwd: home,
    env: { HF_ENDPOINT: server.endpoint, HF_TOKEN: TOKEN, HF_HOME: join(home, "hf"), ...env },
  });
  expect(`${result.stdout}${result.stderr}`).not.toContain(TOKEN);
  return result;
}

/** @returns what the commands asked of the server */
async function requestsOf(work: () => Promise<CliRun>, exitCode: number = 0): Promise<number> {
  server.requests.length = 0;
  const result = await work();
  expect([result.exitCode, result.stderr]).toEqual([exitCode, expect.anything()]);
  return server.requests.length;
}

describe("--cache and --offline", () => {
  it("convert keeps what it reads, and reads what is kept", async () => {
    await serve(golden);
    const convert = (output: string, ...more: string[]): Promise<CliRun> =>
      run(["convert", model(), "-t", "Q8_0", "-o", output, "--threads", "1", ...more]);
    expect((await convert("streamed.gguf")).exitCode).toBe(0);
    await expect(stat(join(home, "hf"))).rejects.toMatchObject({ code: "ENOENT" });
    // A run that is only planned keeps no weights.
    const planned = await convert("planned.gguf", "--cache", "--dry-run");
    expect(planned.stdout).toContain(`MB from ${server.endpoint}`);
    const blobs = join(home, "hf/hub", `models--org--${basename(golden)}`, "blobs");
    expect((await readdir(blobs)).filter((name) => name.length === 64)).toEqual([]);

    const downloaded = await convert("downloaded.gguf", "--cache");
    expect(downloaded.exitCode).toBe(0);
    expect((await readdir(blobs)).filter((name) => name.length === 64)).toHaveLength(3);
    const weights = server.requests.filter((request) => isWeights({ seen: request })).length;
    const cached = await convert("cached.gguf");
    expect(cached.exitCode).toBe(0);
    expect(server.requests.filter((request) => isWeights({ seen: request }))).toHaveLength(weights);
    expect(await requestsOf(() => convert("offline.gguf", "--offline"))).toBe(0);
    const expected = await readFile(join(home, "streamed.gguf"));
    for (const name of ["downloaded", "cached", "offline"]) {
      expect(Buffer.compare(await readFile(join(home, `${name}.gguf`)), expected)).toBe(0);
    }
  });

  it("are settings, too", async () => {
    await serve(golden);
    const settings = join(home, "quern.config.json");
    const convert = (output: string): Promise<CliRun> =>
      run(["convert", model(), "-t", "Q8_0", "-o", output, "--threads", "0"]);
    await writeFile(settings, JSON.stringify({ cache: true }));
    expect((await convert("kept.gguf")).exitCode).toBe(0);
    await writeFile(settings, JSON.stringify({ cache: false, offline: true }));
    expect(await requestsOf(() => convert("offline.gguf"))).toBe(0);
    const [kept, offline] = await Promise.all(
      ["kept", "offline"].map((name) => readFile(join(home, `${name}.gguf`))),
    );
    expect(offline!.equals(kept!)).toBe(true);
  });

  it.each([
    ["streamed", [], "goes on from the cache", ["--cache"]],
    ["read from the cache", ["--cache"], "goes on with ranges", []],
  ])("a run that %s %j %s %j, to the same bytes", async (_first, before, _then, after) => {
    await serve(golden);
    const argv = (output: string): string[] => {
      return ["convert", model(), "-t", "Q8_0,Q4_K_M", "-o", `${output}/`, "--threads", "0"];
    };
    expect((await run(argv("whole"))).exitCode).toBe(0);
    const names = (await readdir(join(home, "whole"))).sort();
    // A name that is taken meanwhile: all tensors are complete when that is found out.
    const inTheWay = join(home, "out", names[0]!);
    const stopped = await run([...argv("out"), ...before], {}, (text) => {
      if (text.startsWith("converting")) writeFileSync(inTheWay, "theirs");
    });
    expect([stopped.exitCode, stopped.stderr]).toEqual([
      exitCodes.output,
      expect.stringContaining("run the same command again"),
    ]);
    await rm(inTheWay);
    // Where there is a cache, it is used.
    const env = { HF_HUB_CACHE: join(home, "another") };
    const { exitCode, stderr, host } = await run([...argv("out"), ...after, "--json"], env);
    expect(exitCode, stderr).toBe(0);
    expect(host.records.find(({ type }) => type === "resume")).toMatchObject({ redone: 0 });
    for (const name of names) {
      const [made, expected] = await Promise.all(
        ["whole", "out"].map((folder) => readFile(join(home, folder, name))),
      );
      expect(made!.equals(expected!), name).toBe(true);
    }
  });

  it("downloads what is missing after a download that failed", async () => {
    await serve(golden);
    const fault = ({ seen, response }: Exchange): boolean => {
      if (!seen.path.endsWith(last.etag)) return false;
      response.writeHead(404).end();
      return true;
    };
    const last = server.repository.head.files.get("model-00003-of-00003.safetensors")!;
    const convert = (): Promise<CliRun> =>
      run(["convert", model(), "-t", "Q8_0", "-o", "out.gguf", "--threads", "0", "--cache", "--json"]);
    // The headers of all shards are read before: two requests of each.
    let requests = 0;
    server.faults.push(
      (exchange) => exchange.seen.path.endsWith(last.etag) && ++requests > 2 && fault(exchange),
    );
    const failed = await convert();
    expect(failed.exitCode).toBe(exitCodes.input);
    expect(failed.stderr).toContain("model-00003-of-00003.safetensors");
    server.faults.length = 0;
    const { exitCode, host } = await convert();
    expect(exitCode).toBe(0);
    const downloads = host.records.flatMap(({ type, place }) =>
      type === "progress" && typeof place === "string" ? [place] : [],
    );
    expect(new Set(downloads)).toEqual(new Set(["model-00003-of-00003.safetensors"]));
  });

  it("all commands run without a network what one has kept", async () => {
    await serve(golden);
    const data = ["--data", repositoryPath("README.md"), "--threads", "1"];
    const commands: readonly (readonly string[])[] = [
      ["inspect", model()],
      ["convert", model(), "--recipe", "rtn-w4-g128", "-o", "folder", "--threads", "1"],
      ["quantize", model(), "b.gguf", "Q4_0", "1"],
      ["calibrate", model(), ...data, "--tokens", "256", "--window", "128", "-o", "s.safetensors"],
      ["eval", model(), ...data, "--context", "128", "--windows", "1"],
    ];
    for (const [index, command] of commands.entries()) {
      // Each in a cache of its own: the next one finds nothing of it.
      const env = { HF_HUB_CACHE: join(home, `cache-${index}`) };
      const { exitCode, stderr } = await run([...command, "--cache"], env);
      expect([command[0], exitCode, stderr]).toEqual([command[0], 0, expect.not.stringContaining("error:")]);
      const force = command[0] === "inspect" || command[0] === "eval" ? [] : ["--force"];
      // Headers alone are no file that can be kept.
      const found = command[0] === "inspect" ? exitCodes.input : 0;
      expect(
        await requestsOf(() => run([...command, ...force], { ...env, HF_HUB_OFFLINE: "1" }), found),
      ).toBe(0);
    }
  }, 120_000);

  it("names what is missing", async () => {
    await serve(demoCheckpoint);
    const nothing = await run(["convert", model(), "-t", "Q8_0", "--offline"]);
    expect(nothing.exitCode).toBe(exitCodes.input);
    expect(nothing.stderr).toContain("HUB_NOT_CACHED");
    expect((await run(["inspect", model(), "--cache"])).exitCode).toBe(0);
    const weights = await run(["convert", model(), "-t", "Q8_0", "--offline"]);
    expect(weights.exitCode).toBe(exitCodes.input);
    expect(weights.stderr).toMatch(/model\.safetensors: the file is not in the cache.*--cache/s);
  });

  it("tells when nobody can know what is missing", async () => {
    await serve(demoCheckpoint);
    const convert = (...more: string[]): Promise<CliRun> =>
      run(["convert", model(), "-t", "Q8_0", "-o", "offline.gguf", "--threads", "0", "--force", ...more]);
    expect((await convert("--cache")).exitCode).toBe(0);
    const listed = await convert("--offline");
    expect([listed.exitCode, listed.stderr]).toEqual([0, expect.not.stringContaining("warning")]);
    // As tools leave it that ask for single files.
    const folder = join(home, "hf/hub", `models--org--${basename(demoCheckpoint)}`);
    await rm(join(folder, "trees"), { recursive: true });
    const unlisted = await convert("--offline");
    expect(unlisted.exitCode).toBe(0);
    expect(unlisted.stderr).toMatch(/^warning: .*has no listing of the repository.*--cache/m);
    await rm(join(folder, "snapshots", server.repository.head.id, "model.safetensors"));
    const bare = await convert("--offline");
    expect(bare.exitCode).toBe(exitCodes.input);
    expect(bare.stderr).toMatch(/no weights of the repository, only .*config\.json.*HUB_NOT_CACHED/s);
  });

  it("plans of calibrate and eval say what comes over the network", async () => {
    await serve(golden);
    for (const command of ["calibrate", "eval"]) {
      const plan = await run([command, model(), "--data", repositoryPath("README.md"), "--dry-run"]);
      expect(plan.stdout).toMatch(/network +[\d.]+ [kM]B from http/);
      const json = await run([
        command,
        model(),
        "--data",
        repositoryPath("README.md"),
        "--dry-run",
        "--json",
      ]);
      expect(json.host.records[0]).toMatchObject({
        type: "plan",
        networkBytes: expect.any(Number) as number,
      });
    }
  });
});

describe("the token", () => {
  it("is in nothing that commands say or write", async () => {
    await serve(golden);
    server.faults.push(everyNth(7, isWeights, resetMidBody), firstOf(1, isWeights, resetMidBody));
    const data = ["--data", repositoryPath("README.md"), "--threads", "1"];
    const commands: readonly (readonly string[])[] = [
      ["inspect", model(), "--full", "--json"],
      [
        "convert",
        model(),
        "-t",
        "Q8_0,Q4_0",
        "-o",
        "out/",
        "--report",
        "report.html",
        "--threads",
        "1",
        "--cache",
      ],
      ["convert", model(), "--recipe", "rtn-w4-g128", "-o", "folder", "--threads", "1", "--json"],
      ["calibrate", model(), ...data, "--tokens", "256", "--window", "128", "-o", "s.safetensors", "--json"],
      ["eval", model(), ...data, "--context", "128", "--windows", "1", "--report", "eval.html", "--json"],
    ];
    for (const command of commands) expect([command[1], (await run(command)).exitCode]).toEqual([model(), 0]);
    // A token that the Hub refuses is told of, and still not said.
    server.tokens.clear();
    server.tokens.add("another");
    expect((await run(["convert", model(), "-t", "Q8_0"])).exitCode).toBe(exitCodes.input);
    let files = 0;
    for (const entry of await readdir(home, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      files++;
      const path = join(entry.parentPath, entry.name);
      expect([path, (await readFile(path)).includes(TOKEN)]).toEqual([path, false]);
    }
    expect(files).toBeGreaterThan(20);
  }, 120_000);
});
