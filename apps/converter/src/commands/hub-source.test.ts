import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rename } from "node:fs/promises";
import { basename, join } from "node:path";
import {
  answerStatus,
  everyNth,
  type Fault,
  firstOf,
  HubServer,
  ignoredRange,
  isWeights,
  resetMidBody,
  shortRange,
} from "@quern/hub/testing";
import { afterEach, describe, expect, it } from "vitest";
import { exitCodes } from "../exit-codes.ts";
import { type CliRun, demoCheckpoint, repositoryPath, runCli, temporaryFolder } from "../testing/run-cli.ts";

const TOKEN = "hf_secret";

/** What is asked of the host of files before any weights: how long the header is, and the header. */
const HEADER_REQUESTS = 2;
const servers: HubServer[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop()));
});

/** A Hub whose repository is called as the folder is: names go into the metadata of files. */
async function serve(folder: string): Promise<HubServer> {
  const server = await HubServer.start({ id: `org/${basename(folder)}`, folder });
  server.tokens.add(TOKEN);
  servers.push(server);
  return server;
}

/** Runs a command with an environment that knows the Hub and its token alone. */
async function run(
  server: HubServer,
  argv: readonly string[],
  env: Record<string, string> = {},
): Promise<CliRun> {
  const home = await temporaryFolder();
  const result = await runCli({
    argv,
    cwd: home,
    env: { HF_ENDPOINT: server.endpoint, HF_TOKEN: TOKEN, HF_HOME: home, ...env },
  });
  expect(`${result.stdout}${result.stderr}`).not.toContain(TOKEN);
  return result;
}

/** Hashes by name. */
async function filesIn(folder: string): Promise<Map<string, string>> {
  const hashes = new Map<string, string>();
  for (const name of (await readdir(folder)).toSorted()) {
    const content = await readFile(join(folder, name));
    hashes.set(name, createHash("sha256").update(content).digest("hex"));
  }
  return hashes;
}

/** All behind the header of a safetensors file. */
function tensorData(file: Buffer): Buffer {
  return file.subarray(8 + Number(file.readBigUInt64LE(0)));
}

/** Hashes of what the demo model becomes, from the folder and from a Hub with a fault. */
async function convertBoth(
  threads: number,
  fault?: (server: HubServer) => Fault,
): Promise<{ local: Map<string, string>; remote: Map<string, string> }> {
  const [local, remote] = [await temporaryFolder(), await temporaryFolder()];
  const types = ["-t", "Q4_K_M,BF16", "--threads", String(threads)];
  expect((await runCli({ argv: ["convert", demoCheckpoint, "-o", local, ...types] })).exitCode).toBe(0);
  const server = await serve(demoCheckpoint);
  if (fault !== undefined) server.faults.push(fault(server));
  const result = await run(server, ["convert", `hf:${server.repository.id}`, "-o", remote, ...types]);
  expect(result.stderr).not.toContain("error");
  expect(result.exitCode).toBe(0);
  return { local: await filesIn(local), remote: await filesIn(remote) };
}

describe("quern convert from the Hub", () => {
  it.each([0, 2])("writes what it writes from the folder, with %i threads", async (threads) => {
    const { local, remote } = await convertBoth(threads);
    expect(remote).toEqual(local);
  });

  it.each<[string, (server: HubServer) => Fault]>([
    ["is busy in bursts", () => everyNth(9, isWeights, answerStatus(503))],
    ["asks to wait", () => everyNth(5, isWeights, answerStatus(429, { "retry-after": "0" }))],
    ["resets connections", () => everyNth(9, isWeights, resetMidBody)],
    [
      "lets redirects expire",
      (server) =>
        firstOf(
          4,
          everyNth(9, isWeights, () => true),
          () => {
            server.expireRedirects();
            return false;
          },
        ),
    ],
    ["cannot be asked at first", () => firstOf(2, ({ seen }) => seen.host === "hub", answerStatus(502))],
  ])("writes the same when the server %s", async (_, fault) => {
    const { local, remote } = await convertBoth(2, fault);
    expect(remote).toEqual(local);
  });

  it.each([
    ["several parts of tensors on their way, where there is room", "64MiB", 6],
    ["two of them otherwise", "4MiB", 2],
  ])("keeps %s", async (_, memory, expected) => {
    const server = await serve(demoCheckpoint);
    server.pace = { delay: 20, rate: 1e9 };
    let inFlight = 0;
    let most = 0;
    server.faults.push((exchange) => {
      if (!isWeights(exchange)) return false;
      most = Math.max(most, ++inFlight);
      // Until the answer begins: whoever has all of it asks for more before the server is through with it.
      const { response } = exchange;
      const writeHead = response.writeHead.bind(response) as (...head: unknown[]) => typeof response;
      response.writeHead = (...head: unknown[]) => {
        inFlight--;
        return writeHead(...head);
      };
      return false;
    });
    const argv = [
      "convert",
      `hf:${server.repository.id}`,
      "-t",
      "Q8_0",
      "--threads",
      "1",
      "--memory",
      memory,
    ];
    expect((await run(server, argv)).exitCode).toBe(0);
    expect(most).toBe(expected);
  });

  it.each<[string, Fault, string]>([
    ["short ranges", shortRange, "SOURCE_READ_FAILED"],
    ["whole files instead of ranges", ignoredRange, "SOURCE_RANGE_UNSUPPORTED"],
  ])("fails with nothing left behind for %s", async (_, fault, code) => {
    const folder = await temporaryFolder();
    const server = await serve(demoCheckpoint);
    let requests = 0;
    server.faults.push((exchange) => isWeights(exchange) && ++requests > HEADER_REQUESTS && fault(exchange));
    const argv = ["convert", `hf:${server.repository.id}`, "-t", "Q8_0", "-o", folder, "--json"];
    const { exitCode, stderr } = await run(server, argv);
    expect(exitCode).toBe(exitCodes.input);
    expect(stderr).toContain(code);
    expect(await readdir(folder)).toEqual([]);
  });

  it("notices weights that change under way", async () => {
    const folder = await temporaryFolder();
    const server = await serve(demoCheckpoint);
    let requests = 0;
    server.faults.push((exchange) => {
      if (isWeights(exchange) && ++requests === 3) {
        server.repository.changeFile("model.safetensors");
        server.expireRedirects();
      }
      return false;
    });
    const { exitCode, stderr } = await run(server, [
      "convert",
      `hf:${server.repository.id}`,
      "-t",
      "Q8_0",
      "-o",
      folder,
    ]);
    expect(exitCode).toBe(exitCodes.input);
    expect(stderr).toContain("changed since it was opened");
    expect(await readdir(folder)).toEqual([]);
  });

  it("asks for no more at a time than its memory holds", async () => {
    const server = await serve(demoCheckpoint);
    const limits = ["--threads", "2", "--memory", "64KiB"];
    const argv = ["convert", `hf:${server.repository.id}`, "-t", "Q8_0", "-o", await temporaryFolder()];
    expect((await run(server, [...argv, ...limits])).exitCode).toBe(0);
    const weights = server.requests.filter((request) => isWeights({ seen: request })).slice(HEADER_REQUESTS);
    const sizes = weights.map(({ range }) => {
      const [first, last] = range!.match(/\d+/g)!.map(Number);
      return last! - first! + 1;
    });
    // Each of two threads has two slabs in hand, of which what is read is a part.
    expect(Math.max(...sizes)).toBeLessThan((64 * 1024) / 4);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeGreaterThan(2 ** 20);
  });

  it("says in the plan what comes over the network", async () => {
    const server = await serve(demoCheckpoint);
    const { exitCode, stdout } = await run(server, [
      "convert",
      server.repository.id,
      "-t",
      "Q8_0",
      "--dry-run",
    ]);
    expect(exitCode).toBe(0);
    expect(stdout).toContain(
      `MB from ${server.endpoint}/${server.repository.id}/tree/${server.repository.head.id}`,
    );
    const { host } = await run(server, [
      "convert",
      `hf:${server.repository.id}@v1`,
      "-t",
      "Q8_0",
      "--dry-run",
      "--json",
    ]);
    const [plan] = host.records;
    expect(plan).toMatchObject({ type: "plan", networkBytes: plan!["sourceBytes"] });
  });

  it("counts connections in the memory of plans of checkpoints", async () => {
    const server = await serve(demoCheckpoint);
    const memoryOf = async (model: string): Promise<number> => {
      const argv = ["convert", model, "--to", "mlx", "--threads", "1", "--dry-run", "--json"];
      const { host } = await run(server, argv);
      return (host.records[0] as { resources: { peakMemory: number } }).resources.peakMemory;
    };
    const remote = await memoryOf(`hf:${server.repository.id}`);
    expect(remote - (await memoryOf(demoCheckpoint))).toBe(30 * 2 ** 20);
  });

  it("tells of a repository that cannot be read, and of a folder that is not there", async () => {
    const server = await serve(demoCheckpoint);
    const secret = await run(server, ["convert", server.repository.id, "-t", "Q8_0"], { HF_TOKEN: "" });
    expect(secret.exitCode).toBe(exitCodes.input);
    expect(secret.stderr).toMatch(/There is no folder org\/.*HF_TOKEN/s);
    server.repository.gated = true;
    const gated = await run(server, ["inspect", `hf:${server.repository.id}`], { HF_TOKEN: "" });
    expect(gated.exitCode).toBe(exitCodes.input);
    expect(gated.stderr).toContain("Accept its conditions at");
  });

  it("names the repository where an empty folder has its name", async () => {
    const cwd = await temporaryFolder();
    await mkdir(join(cwd, "org", "model"), { recursive: true });
    const { exitCode, stderr } = await runCli({ argv: ["convert", "org/model"], cwd });
    expect(exitCode).toBe(exitCodes.input);
    expect(stderr).toContain("The repository of the Hub is hf:org/model.");
  });

  it("says what it waits for", async () => {
    const server = await serve(demoCheckpoint);
    server.faults.push(firstOf(1, () => true, answerStatus(503, { "retry-after": "6" })));
    const model = `hf:${server.repository.id}`;
    const { exitCode, stderr } = await run(server, ["inspect", model]);
    expect(exitCode).toBe(0);
    expect(stderr).toMatch(/^hf:\S+: 503 Service Unavailable; attempt 2 of 7 in 6(\.\d)? s\n$/);
  });

  it("says whom it waits for where no answer comes", async () => {
    const server = await serve(demoCheckpoint);
    const late = new Promise((resolve) => setTimeout(resolve, 5500));
    server.faults.push(
      firstOf(
        1,
        () => true,
        ({ response }) => {
          void late.then(() => response.destroy());
          return true;
        },
      ),
    );
    const model = `hf:${server.repository.id}`;
    const { exitCode, stderr } = await run(server, ["inspect", model]);
    expect(exitCode).toBe(0);
    expect(stderr).toContain(`${model}: waiting for ${server.endpoint}\n`);
    expect(stderr).toMatch(/hf:\S+: the connection was closed .*; attempt 2 of 7 in \d+ ms\n$/);
  });

  it("takes a folder for what it is, even when a repository has its name", async () => {
    const server = await serve(demoCheckpoint);
    const cwd = await temporaryFolder();
    await mkdir(join(cwd, "org"));
    await mkdir(join(cwd, "empty"));
    await rename(join(cwd, "empty"), join(cwd, server.repository.id));
    const { exitCode } = await runCli({
      argv: ["convert", server.repository.id, "-t", "Q8_0"],
      cwd,
      env: { HF_ENDPOINT: server.endpoint },
    });
    expect(exitCode).toBe(exitCodes.input);
    expect(server.requests).toEqual([]);
  });
});

describe("other commands", () => {
  it("inspect shows a repository as it shows the folder", async () => {
    const folder = repositoryPath("fixtures/golden/mixtral/checkpoint");
    const server = await serve(folder);
    const remote = await run(server, ["inspect", `hf:${server.repository.id}`]);
    expect(remote.stdout).toBe((await runCli({ argv: ["inspect", folder] })).stdout);
  });

  it("calibrate and eval run a repository as they run the folder", async () => {
    const folder = repositoryPath("fixtures/golden/llama31-bpe/checkpoint");
    const server = await serve(folder);
    const texts = repositoryPath("README.md");
    const [local, remote] = [await temporaryFolder(), await temporaryFolder()];
    const calibrate = (model: string, output: string): string[] => [
      "calibrate",
      model,
      "--data",
      texts,
      "--tokens",
      "512",
      "--window",
      "128",
      "--threads",
      "1",
      "-o",
      join(output, "statistics.safetensors"),
    ];
    const first = await run(server, calibrate(folder, local));
    const second = await run(server, calibrate(`hf:${server.repository.id}`, remote));
    expect([first.exitCode, second.exitCode, second.stderr]).toEqual([
      0,
      0,
      expect.not.stringContaining("error"),
    ]);
    expect(await filesIn(remote)).toEqual(await filesIn(local));
    const evaluate = (model: string): string[] => [
      "eval",
      model,
      "--data",
      texts,
      "--context",
      "128",
      "--json",
    ];
    const figures = async (model: string): Promise<unknown> => {
      const { host, exitCode } = await run(server, [...evaluate(model), "--windows", "2"]);
      expect(exitCode).toBe(0);
      const { total: perplexity } = host.records.at(-1)!;
      expect(perplexity).toBeDefined();
      return perplexity;
    };
    expect(await figures(`hf:${server.repository.id}`)).toEqual(await figures(folder));
  });

  it("convert to a folder of a quantized checkpoint copies small files from the repository", async () => {
    const server = await serve(demoCheckpoint);
    const [local, remote] = [await temporaryFolder(), await temporaryFolder()];
    const convert = (model: string, output: string): string[] => [
      "convert",
      model,
      "--recipe",
      "rtn-w4-g128",
      "--threads",
      "2",
      "-o",
      join(output, "quantized"),
    ];
    const first = await run(server, convert(demoCheckpoint, local));
    const second = await run(server, convert(`hf:${server.repository.id}`, remote));
    expect([first.exitCode, second.exitCode, second.stderr]).toEqual([
      0,
      0,
      expect.not.stringContaining("error"),
    ]);
    const [made, expected] = [
      await filesIn(join(remote, "quantized")),
      await filesIn(join(local, "quantized")),
    ];
    // The manifest, the metadata of weights and the card say where they are from.
    const [weights, card] = ["model.safetensors", "README.md"] as const;
    for (const name of ["quern-manifest.json", weights, card]) {
      expect(made.delete(name) && expected.delete(name)).toBe(true);
    }
    expect(made).toEqual(expected);
    const read = (folder: string, name: string): Promise<Buffer> => readFile(join(folder, "quantized", name));
    expect(tensorData(await read(remote, weights)).equals(tensorData(await read(local, weights)))).toBe(true);
    const { id, head } = server.repository;
    const source = `| Source | [${id}](https://huggingface.co/${id}/tree/${head.id}) at commit \`${head.id}\` |\n`;
    const [theirs, ours] = [(await read(remote, card)).toString(), (await read(local, card)).toString()];
    expect(theirs).toContain(source);
    expect(ours).not.toContain("| Source |");
  });
});
