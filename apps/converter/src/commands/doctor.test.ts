import { mkdir, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { exitCodes } from "../exit-codes.ts";
import { type ProcessRun, runProcess } from "../testing/run-process.ts";
import { type CliRun, demoCheckpoint, runCli, temporaryFolder } from "../testing/run-cli.ts";

const TOKEN = "hf_secret";
const closers: Array<() => void> = [];
afterEach(() => closers.splice(0).forEach((close) => close()));

/** A Hub that knows one token. */
async function startHub(
  answer: (request: IncomingMessage, response: ServerResponse) => void = (request, response) => {
    const known = request.url === "/api/whoami-v2" && request.headers.authorization === `Bearer ${TOKEN}`;
    response.writeHead(known ? 200 : 401).end(known ? JSON.stringify({ name: "miller" }) : "{}");
  },
): Promise<string> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(() => (server.closeAllConnections(), server.close()));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Findings by name. */
async function examine(
  env: Record<string, string>,
  ...argv: readonly string[]
): Promise<CliRun & { findings: Map<string, Record<string, unknown>> }> {
  const home = await temporaryFolder();
  const run = await runCli({
    argv: ["doctor", "--json", ...argv],
    cwd: home,
    env: { HOME: home, HF_ENDPOINT: "http://127.0.0.1:1", ...env },
  });
  expect(`${run.stdout}${run.stderr}`).not.toContain(TOKEN);
  const checks = run.host.records.filter(({ type }) => type === "check");
  return { ...run, findings: new Map(checks.map((check) => [String(check["name"]), check])) };
}

describe("quern doctor", () => {
  it("finds nothing wrong where nothing is", async () => {
    const home = await temporaryFolder();
    const env = { HOME: home, HF_ENDPOINT: await startHub(), HF_TOKEN: TOKEN };
    const { exitCode, stdout, stderr } = await runCli({ argv: ["doctor"], cwd: home, env });
    expect(stdout).toMatch(/^ok +program +quern \S+ on Node \d+/m);
    expect(stdout).toMatch(/^(ok|warning) +kernels +(native|wasm) \w+: /m);
    for (const name of ["threads", "memory", "output", "temporary", "cache", "settings"]) {
      expect(stdout).toMatch(new RegExp(`^(ok|warning) +${name} `, "m"));
    }
    expect(stdout).toMatch(/^ok +token +from HF_TOKEN: miller$/m);
    expect(stdout).toMatch(/^ok +hub +http:\S+: answers in \d+ ms$/m);
    expect(`${stdout}${stderr}`).not.toContain(TOKEN);
    expect([exitCode, stderr]).toEqual([0, ""]);
  });

  it("knows a token of a file, and one that the Hub does not", async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, "token"), `${TOKEN}\n`);
    const good = await examine({ HF_ENDPOINT: await startHub(), HF_HOME: folder });
    expect(good.findings.get("token")).toMatchObject({
      state: "ok",
      text: `from ${join(folder, "token")}: miller`,
    });
    const bad = await examine({ HF_ENDPOINT: await startHub(), HF_TOKEN: "hf_other" });
    expect(bad.findings.get("token")).toMatchObject({
      state: "problem",
      advice: expect.stringContaining("HF_TOKEN"),
    });
    expect(bad.findings.get("hub")).toMatchObject({ state: "ok" });
    expect(bad.exitCode).toBe(exitCodes.failure);
    expect(bad.host.records.at(-1)).toMatchObject({ type: "error", code: "DOCTOR_PROBLEMS" });
  });

  it("asks without a token for whether the Hub answers, and not at all with --offline", async () => {
    const seen: Array<string | undefined> = [];
    const endpoint = await startHub((request, response) => {
      seen.push(request.headers.authorization);
      response.writeHead(401).end();
    });
    expect((await examine({ HF_ENDPOINT: endpoint })).findings.get("hub")).toMatchObject({ state: "ok" });
    expect(seen).toEqual([undefined]);
    const { findings, exitCode } = await examine({ HF_ENDPOINT: endpoint, HF_TOKEN: TOKEN }, "--offline");
    expect(findings.get("token")).toMatchObject({ state: "ok", text: "from HF_TOKEN" });
    expect([seen.length, exitCode]).toEqual([1, 0]);
  });

  it("warns of a Hub that is not there, or is not one", async () => {
    const gone = await startHub();
    closers.splice(0).forEach((close) => close());
    const nowhere = await examine({ HF_ENDPOINT: gone, HF_TOKEN: TOKEN });
    expect(nowhere.findings.get("hub")).toMatchObject({
      state: "warning",
      text: expect.stringContaining("ECONNREFUSED"),
    });
    const broken = await startHub((_, response) => response.writeHead(200).end("<html>"));
    expect((await examine({ HF_ENDPOINT: broken, HF_TOKEN: TOKEN })).findings.get("token")).toMatchObject({
      state: "warning",
    });
    const elsewhere = await startHub((_, response) => response.writeHead(503).end());
    expect((await examine({ HF_ENDPOINT: elsewhere })).findings.get("hub")).toMatchObject({
      state: "warning",
    });
  });

  it("takes no address for a token", async () => {
    const { findings } = await examine({ HF_ENDPOINT: `http://me:${TOKEN}@127.0.0.1:1` });
    expect(findings.get("hub")).toMatchObject({
      state: "problem",
      advice: expect.stringContaining("HF_ENDPOINT") as string,
    });
    expect(findings.has("token")).toBe(false);
  });

  it("gives no token to where it is redirected", async () => {
    const seen: unknown[] = [];
    const other = await startHub((request, response) => (seen.push(request.headers), response.end("{}")));
    const endpoint = await startHub((_, response) => response.writeHead(302, { location: other }).end());
    const { findings } = await examine({ HF_ENDPOINT: endpoint, HF_TOKEN: TOKEN });
    expect(findings.get("hub")).toMatchObject({ state: "warning" });
    expect(seen).toEqual([]);
  });

  it("counts what the cache holds, links aside", async () => {
    const cache = await temporaryFolder();
    await mkdir(join(cache, "models--org--model", "blobs"), { recursive: true });
    await writeFile(join(cache, "models--org--model", "blobs", "a"), Buffer.alloc(5000));
    const { findings } = await examine({ HF_HUB_CACHE: cache }, "--offline");
    expect(findings.get("cache")).toMatchObject({ state: "ok", text: `${cache}: 5.00 kB in 1 files` });
  });

  it.each<[string, Record<string, string>, string[]]>([
    ["output", {}, ["--output", join(demoCheckpoint, "config.json", "nowhere")]],
    ["kernels", { QUERN_KERNELS: "nonsense" }, []],
    ["token", { HF_TOKEN: "hf_with space" }, []],
    ["hub", { HF_ENDPOINT: "no address" }, []],
    ["settings", { QUERN_THREADS: "many" }, []],
    ["settings", { QUERN_MEMORY: "much" }, []],
  ])("says what to do about %s", async (name, env, argv) => {
    const before = process.env["QUERN_KERNELS"];
    if ("QUERN_KERNELS" in env) process.env["QUERN_KERNELS"] = env["QUERN_KERNELS"];
    try {
      const { findings, exitCode } = await examine(env, "--offline", ...argv);
      expect(findings.get(name)).toMatchObject({ state: "problem", advice: expect.stringMatching(/\S/) });
      expect(exitCode).toBe(exitCodes.failure);
    } finally {
      if (before === undefined) delete process.env["QUERN_KERNELS"];
      else process.env["QUERN_KERNELS"] = before;
    }
  });

  it("asks nothing where the environment forbids it", async () => {
    const seen: unknown[] = [];
    const endpoint = await startHub((request, response) => (seen.push(request.url), response.end("{}")));
    const { findings } = await examine({ HF_ENDPOINT: endpoint, HF_HUB_OFFLINE: "1" });
    expect(findings.get("hub")).toMatchObject({
      state: "ok",
      text: expect.stringContaining("HF_HUB_OFFLINE"),
    });
    expect(seen).toEqual([]);
  });

  it("asks through the proxy of the environment, as conversions do", async () => {
    const seen: string[] = [];
    const proxy = createServer();
    proxy.on("connect", (request, socket) => {
      seen.push(request.url!);
      const { hostname, port } = new URL(endpoint);
      const through = connect(Number(port), hostname, () => {
        socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
        through.pipe(socket).pipe(through);
      });
      for (const end of [socket, through]) end.on("error", () => (socket.destroy(), through.destroy()));
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    closers.push(() => (proxy.closeAllConnections(), proxy.close()));
    const endpoint = await startHub();
    const address = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    const ask = (env: Record<string, string>): Promise<ProcessRun> =>
      runProcess(["doctor"], undefined, {
        ...process.env,
        ...env,
        HF_ENDPOINT: "http://hub.invalid",
        HF_TOKEN: TOKEN,
      });
    expect((await ask({ HTTP_PROXY: address })).stdout).toMatch(/^ok +token +from HF_TOKEN: miller$/m);
    expect(seen).toEqual(["hub.invalid:80"]);
    const wrong = await ask({ HTTP_PROXY: "http://user:hunter2@" });
    expect(wrong.stdout).toMatch(/^problem +hub +HTTP_PROXY is not the address of a proxy/m);
    expect(`${wrong.stdout}${wrong.stderr}`).not.toContain("hunter2");
  });

  it("counts the room of an output folder that is yet to be made", async () => {
    const { findings } = await examine({}, "--offline", "--output", "nowhere/yet");
    expect(findings.get("output")).toMatchObject({ state: expect.stringMatching(/ok|warning/) });
  });

  it("names all settings that it does not know", async () => {
    const home = await temporaryFolder();
    await writeFile(join(home, "quern.config.json"), `{ "colours": 1, "sounds": 2 }`);
    const run = await runCli({ argv: ["doctor", "--offline"], cwd: home, env: { HOME: home } });
    expect(run.stdout).toMatch(/^warning +settings .*"colours".*"sounds"/m);
    expect(run.stderr).toBe("");
    expect(run.exitCode).toBe(exitCodes.ok);
  });

  it("looks at the files of settings", async () => {
    const home = await temporaryFolder();
    await writeFile(join(home, "quern.config.json"), "{");
    const run = await runCli({ argv: ["doctor", "--offline", "--quiet"], cwd: home, env: { HOME: home } });
    expect(run.stdout).toMatch(/^problem +settings .*not JSON: .*\n +Mend/m);
    expect(run.stdout).not.toMatch(/^ok/m);
    expect(run.exitCode).toBe(exitCodes.failure);
  });
});
