import { basename, join } from "node:path";
import { openHubCheckpoint } from "@quern/checkpoints/node";
import { hubAccess, type NetworkWaitEvent } from "@quern/hub";
import {
  answerStatus,
  type Exchange,
  type Fault,
  firstOf,
  HubServer,
  isCommit,
  isUpload,
  isWeights,
  resetMidBody,
  UploadStore,
  writingRoutes,
} from "@quern/hub/testing";
import { convert, planConversion } from "@quern/pipeline";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type CliRun, demoCheckpoint, runCli, temporaryFolder } from "../testing/run-cli.ts";

const TOKEN = "hf_secret";
const ID = `org/${basename(demoCheckpoint)}`;
const WEIGHTS = `hf:${ID}/model.safetensors`;
const LINE = `${WEIGHTS}: 429 Too Many Requests; attempt 2 of 7 in 3`;

let server: HubServer;

async function serve(): Promise<HubServer> {
  const started = await HubServer.start({ id: ID, folder: demoCheckpoint });
  started.tokens.add(TOKEN);
  return started;
}

beforeEach(async () => {
  server = await serve();
});
afterEach(() => server.stop());

/** Behind what is read to open a checkpoint. */
const isTensor = (exchange: Exchange): boolean => isWeights(exchange) && exchange.first > 8;

/** Long enough for people to wonder. */
const busy: Fault = answerStatus(429, { "retry-after": "3" });

async function run(
  argv: readonly string[],
  options: { readonly from?: HubServer; readonly terminal?: boolean; readonly cwd?: string } = {},
): Promise<CliRun> {
  const { from = server, terminal = false, cwd = await temporaryFolder() } = options;
  const env = { HF_ENDPOINT: from.endpoint, HF_TOKEN: TOKEN, HF_HOME: join(cwd, "hf") };
  const result = await runCli({ argv, cwd, env, terminal, columns: 120 });
  expect(result.exitCode, result.stderr).toBe(0);
  expect(result.stdout + result.stderr).not.toMatch(/Signature|hf_secret/);
  return result;
}

const conversion = ["convert", `hf:${ID}`, "-t", "Q8_0", "-o", "model.gguf"];

it.each([0, 2])("whoever opened a repository is told of every wait of %i threads", async (threads) => {
  const events: NetworkWaitEvent[] = [];
  const checkpoint = await openHubCheckpoint(ID, {
    access: hubAccess({ endpoint: server.endpoint, token: TOKEN }),
    patience: { retryDelay: 1, onWait: (event) => events.push(event) },
  });
  const directory = await temporaryFolder();
  const outputs = [{ type: "Q8_0", path: join(directory, "model.gguf") }];
  const plan = await planConversion({ checkpoint, outputs, directory, threads, memory: 2 ** 20 });
  expect(events).toEqual([]);
  server.faults.push(
    firstOf(1, isTensor, answerStatus(429, { "retry-after": "1" })),
    firstOf(1, isTensor, resetMidBody),
  );
  await convert(plan);
  expect(events).toHaveLength(2);
  const common = { type: "network:wait", file: WEIGHTS, attempts: 7, attempt: expect.any(Number) as number };
  expect(events).toContainEqual({
    ...common,
    reason: "429 Too Many Requests",
    seconds: expect.closeTo(1.05, 1) as number,
    elapsed: expect.any(Number) as number,
  });
  expect(events).toContainEqual(
    expect.objectContaining({
      ...common,
      reason: expect.stringMatching(/^the answer broke off: /) as string,
    }),
  );
  expect(JSON.stringify(events)).not.toMatch(/Signature|hf_secret|localhost|127\.0/);
});

describe("what a command waits for", () => {
  it("has one line for all requests that wait together, whatever thread makes them", async () => {
    let end: number | undefined;
    let refused = 0;
    server.faults.push((exchange) => {
      if (!isTensor(exchange)) return false;
      end ??= Date.now() + 1000;
      return Date.now() < end && busy(exchange) && ++refused > 0;
    });
    const { stderr } = await run([...conversion, "--threads", "2"]);
    expect(refused).toBeGreaterThan(1);
    expect(stderr.split("\n").filter((line) => line.includes("429"))).toEqual([
      expect.stringMatching(new RegExp(`^${LINE}(\\.\\d)? s$`)),
    ]);
  });

  it("is told by --verbose however short it is, and by nothing else", async () => {
    const short = (): Fault => firstOf(2, isWeights, answerStatus(503, { "retry-after": "0" }));
    server.faults.push(short());
    expect((await run(conversion)).stderr).not.toContain("503");
    server.faults.splice(0, 1, short());
    const { stderr } = await run([...conversion, "--verbose"]);
    expect(stderr.split("\n").filter((line) => line.includes("503 Service Unavailable"))).toHaveLength(1);
  });

  it("is an event of --json, and nothing with --quiet", async () => {
    server.faults.push(firstOf(1, isTensor, busy));
    const { host, stderr } = await run([...conversion, "--json"]);
    expect(host.records.filter(({ type }) => type === "network:wait")).toEqual([
      expect.objectContaining({ file: WEIGHTS, reason: "429 Too Many Requests", attempt: 2, attempts: 7 }),
    ]);
    expect(stderr).toBe("");
    server.faults.splice(0, 1, firstOf(1, isTensor, busy));
    expect((await run([...conversion, "--quiet"])).stderr).toBe("");
  });

  it("stands in the line of progress on a terminal", async () => {
    server.faults.push(firstOf(1, isTensor, busy));
    const { stderr } = await run(conversion, { terminal: true });
    const drawn = stderr.split("\r\u001b[2K");
    expect(drawn).toContainEqual(
      expect.stringMatching(/^[^\n]*attempt 2 of 7 in \d s, after 429 Too Many Requests/),
    );
    expect(stderr).not.toContain(LINE);
  });

  it("has lines where there is no line of progress yet, or none at all", async () => {
    server.faults.push(firstOf(1, isWeights, busy));
    expect((await run(["inspect", `hf:${ID}`, "--json"], { terminal: true })).stderr).toContain(LINE);
    server.faults.splice(0, 1, firstOf(1, isTensor, busy));
    const argv = [...conversion, "--no-progress"];
    expect((await run(argv, { terminal: true })).stderr).toContain(LINE);
  });

  it("is told by every command that reads weights", async () => {
    const commands = [
      ["calibrate", `hf:${ID}`, "-o", "statistics.safetensors", "--tokens", "512"],
      ["imatrix", `hf:${ID}`, "-o", "model.imatrix.gguf", "--chunks", "1"],
      ["eval", `hf:${ID}`, "--windows", "1"],
      ["convert", `hf:${ID}`, "--to", "fp8", "-o", "model"],
      ["convert", `hf:${ID}`, "--recipe", "gptq-w4-g128", "--sequential", "--tokens", "512", "-o", "model"],
      [...conversion, "--cache"],
    ];
    await Promise.all(
      commands.map(async (argv) => {
        const from = await serve();
        from.faults.push(firstOf(1, isTensor, busy));
        expect((await run(argv, { from })).stderr, argv.join(" ")).toContain(LINE);
        await from.stop();
      }),
    );
  });

  it("is told by verify, which reads what a manifest names", async () => {
    const cwd = await temporaryFolder();
    await run([...conversion, "--manifest"], { cwd });
    server.faults.push(firstOf(1, isTensor, busy));
    const { stderr } = await run(["verify", "model.gguf", "--source", "--all"], { cwd });
    expect(stderr).toContain(LINE);
  });

  it("is told by publish, of what is written, too", async () => {
    const store = await UploadStore.create();
    const from = await HubServer.start({ id: ID, folder: demoCheckpoint, routes: writingRoutes(store) });
    from.tokens.add(TOKEN);
    store.writers.add(TOKEN);
    from.faults.push(firstOf(1, isTensor, busy), firstOf(1, isUpload, busy), firstOf(1, isCommit, busy));
    const argv = ["publish", `hf:${ID}`, "-t", "Q8_0", "--repo", "mill/demo-GGUF", "--json"];
    const { host } = await run(argv, { from });
    const waits = host.records.filter(({ type }) => type === "network:wait");
    expect(waits.map(({ file, reason }) => [file, reason])).toEqual([
      [WEIGHTS, "429 Too Many Requests"],
      ["hf:mill/demo-GGUF", "429 Too Many Requests"],
      ["hf:mill/demo-GGUF", "429 Too Many Requests"],
    ]);
    await from.stop();
    await store.remove();
  });
});
