import { mkdirSync, writeFileSync } from "node:fs";
import { readdir, readFile, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { HubServer, memoryContent, storedFile } from "@quern/hub/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { exitCodes } from "../exit-codes.ts";
import type { MemoryHost } from "../testing/memory-host.ts";
import { type CliRun, demoCheckpoint, runCli, temporaryFolder } from "../testing/run-cli.ts";

let home: string;
let server: HubServer;

beforeEach(async () => {
  home = await temporaryFolder();
  server = await HubServer.start({ id: `org/${basename(demoCheckpoint)}`, folder: demoCheckpoint });
});
afterEach(() => server.stop());

function run(argv: readonly string[], onStderr?: (text: string, host: MemoryHost) => void): Promise<CliRun> {
  const env = { HF_ENDPOINT: server.endpoint, HF_HOME: join(home, "hf") };
  return runCli({ argv, cwd: home, env, ...(onStderr && { onStderr }) });
}

/** Somebody commits something else than weights to the branch. */
function commitCard(): void {
  const { repository } = server;
  const card = storedFile("README.md", memoryContent(Buffer.from("# Another card\n")));
  repository.commit({ files: new Map(repository.head.files).set("README.md", card), title: "Card" });
}

function fillFolder(path: string, text: string): void {
  mkdirSync(path);
  writeFileSync(join(path, "notes.txt"), text);
}

describe("a branch that has moved since a run was interrupted", () => {
  it.each([
    ["GGUF", ["-t", "Q8_0"], "model.gguf", writeFileSync],
    ["FP8", ["--to", "fp8"], "model", fillFolder],
  ] as const)(
    "is refused for %s, and the old commit is named to go on with",
    async (_, what, name, block) => {
      const id = `hf:${server.repository.id}`;
      const before = `${id}@${server.repository.head.id}`;
      const convert = (model: string, output: string, ...more: string[]): string[] => {
        return ["convert", model, ...what, "-o", output, "--threads", "0", ...more];
      };
      expect((await run(convert(id, `whole-${name}`))).exitCode).toBe(0);
      // A name that is taken meanwhile: all is complete when that is found out.
      const inTheWay = join(home, name);
      const stopped = await run(convert(id, name), (text) => {
        if (text.startsWith("converting") || text.startsWith("quantizing")) block(inTheWay, "theirs");
      });
      expect(stopped.exitCode, stopped.stderr).toBe(exitCodes.output);
      await rm(inTheWay, { recursive: true });
      const left = (await readdir(home)).filter((file) => file.startsWith(`${name}.partial`));
      expect(left).toHaveLength(2);

      commitCard();
      const refused = await run(convert(id, name));
      expect(refused.exitCode).toBe(exitCodes.output);
      expect(refused.stderr).toContain("RESUME_OTHER_RUN");
      expect(refused.stderr).toContain(`(${before}; this is ${id}@${server.repository.head.id})`);

      const resumed = await run(convert(before, name, "--json"));
      expect(resumed.exitCode, resumed.stderr).toBe(0);
      expect(resumed.host.records.find(({ type }) => type === "resume")).toMatchObject({ redone: 0 });
      const bytes = (output: string): Promise<Buffer> =>
        readFile(join(home, name === "model" ? `${output}/model.safetensors` : output));
      expect((await bytes(name)).equals(await bytes(`whole-${name}`))).toBe(true);
    },
  );
});

describe("a plan of a run that will go on with an earlier one", () => {
  /** Bytes of weights that were asked for. */
  const asked = (): number =>
    server.requests.reduce((sum, { host, range }) => {
      const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec((host === "cdn" && range) || "") ?? [];
      return sum + (first === undefined ? 0 : Number(last) - Number(first) + 1);
    }, 0);

  it("says how many weights a calibration still reads", async () => {
    const argv = ["calibrate", `hf:${server.repository.id}`, "-o", "s.safetensors", "--tokens", "512"];
    const stopped = await run([...argv, "--verbose"], (text, host) => {
      if (text.includes("done block 2")) host.interrupt();
    });
    expect(stopped.exitCode, stopped.stderr).toBe(exitCodes.interrupted);
    const { host, stderr } = await run([...argv, "--dry-run", "--json"]);
    const { networkBytes, networkBytesLeft } = host.records[0] as Record<string, number>;
    expect(networkBytesLeft, stderr).toBeGreaterThan(0);
    expect(networkBytesLeft).toBeLessThan(networkBytes!);
    expect((await run([...argv, "--dry-run"])).stdout).toContain(" still to come from ");
    server.requests.length = 0;
    expect((await run(argv)).exitCode).toBe(0);
    expect(Math.abs(asked() - networkBytesLeft!)).toBeLessThan(10_000);
  });

  it.each([
    ["GGUF files", ["-t", "Q8_0,Q4_K_M", "-o", "out/", "--memory", "1MiB"], 25, true],
    ["FP8", ["--to", "fp8", "-o", "model"], 20, true],
    ["layers that are rounded along", ["--recipe", "gptq-w4-g128", "--sequential", "-o", "model"], 12, false],
    [
      "GGUF tensors that are",
      ["-t", "Q4_0", "--rounding", "gptq", "--sequential", "-o", "m.gguf"],
      12,
      false,
    ],
  ] as const)("says how much of %s is still to come", async (_, what, tensors, isAll) => {
    const along = what.some((one) => one === "--sequential") ? ["--tokens", "512"] : [];
    const argv = [`hf:${server.repository.id}`, ...what, ...along, "--threads", "1"];
    const planned = async (): Promise<Record<string, number>> => {
      const { exitCode, host, stderr } = await run(["plan", ...argv, "--json"]);
      expect(exitCode, stderr).toBe(0);
      return host.records[0] as Record<string, number>;
    };
    const before = await planned();
    expect(before["networkBytesLeft"]).toBe(before["networkBytes"]);

    let done = 0;
    const stopped = await run(["convert", ...argv, "--verbose"], (text, host) => {
      done += text.split("\n").filter((line) => /^done (?!block)/.test(line)).length;
      if (done >= tensors) host.interrupt();
    });
    expect(stopped.exitCode, stopped.stderr).toBe(exitCodes.interrupted);

    const { networkBytes, networkBytesLeft } = await planned();
    expect(networkBytes).toBe(before["networkBytes"]);
    expect(networkBytesLeft).toBeGreaterThan(0);
    expect(networkBytesLeft).toBeLessThan(0.9 * networkBytes!);
    expect((await run(["plan", ...argv])).stdout).toMatch(
      /network +[\d.]+ \S+ of [\d.]+ \S+ still to come from/,
    );
    const again = await run(["plan", ...argv, "--restart", "--json"]);
    expect(again.host.records[0]).toMatchObject({ networkBytes, networkBytesLeft: networkBytes });

    server.requests.length = 0;
    expect((await run(["convert", ...argv])).exitCode).toBe(0);
    expect(asked()).toBeGreaterThanOrEqual(networkBytesLeft!);
    // The header of the file is read, too; and layers again, where the model is run.
    expect(asked()).toBeLessThan(isAll ? networkBytesLeft! + 10_000 : Infinity);
  });
});
