// The real program, killed in a process of its own while it converts. Runs the compiled files.

import { spawn } from "node:child_process";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { demoCheckpoint, repositoryPath, temporaryFolder } from "./testing/run-cli.ts";

const program = repositoryPath("apps/converter/bin/quern.js");
const types = "Q4_K_M,Q5_K_M,Q6_K,Q8_0";

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** @param when Sends the signal when the folder's journal has so many bytes. */
async function run(
  argv: readonly string[],
  when?: { readonly folder: string; readonly bytes: number; readonly signal: NodeJS.Signals },
): Promise<Ended> {
  const child = spawn(process.execPath, [program, ...argv], { stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const ended = new Promise<Ended>((resolve) => {
    child.on("close", (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  if (when === undefined) return ended;
  const isRunning = (): boolean => child.exitCode === null && child.signalCode === null;
  while (isRunning() && (await journalBytes(when.folder)) < when.bytes) await sleep(1);
  if (isRunning()) child.kill(when.signal);
  return ended;
}

async function journalBytes(folder: string): Promise<number> {
  const name = (await readdir(folder)).find((one) => one.endsWith(".journal"));
  if (name === undefined) return 0;
  const there = await stat(join(folder, name)).catch(() => undefined);
  return there?.size ?? 0;
}

async function contentsOf(folder: string): Promise<Map<string, string>> {
  const names = (await readdir(folder)).sort();
  const hex = async (name: string): Promise<string> =>
    (await readFile(join(folder, name))).toString("base64");
  return new Map(await Promise.all(names.map(async (name) => [name, await hex(name)] as const)));
}

const finalNames = async (folder: string): Promise<string[]> =>
  (await readdir(folder)).filter((name) => name.endsWith(".gguf"));

describe.each([
  { kernels: "native", threads: "2" },
  { kernels: "wasm", threads: "0" },
])("quern convert with $kernels kernels", ({ kernels, threads }) => {
  const resources = ["-j", threads, ...(kernels === "wasm" ? ["--kernels", "wasm"] : [])];

  it("goes on when it is killed, again and again, and writes the same bytes", async () => {
    const [whole, folder] = [await temporaryFolder(), await temporaryFolder()];
    const argv = ["convert", demoCheckpoint, "-t", types, ...resources, "-o"];
    expect((await run([...argv, whole, "-q"])).code).toBe(0);
    for (const bytes of [1500, 6000]) {
      const killed = await run([...argv, folder, "-q"], { folder, bytes, signal: "SIGKILL" });
      if (killed.signal !== "SIGKILL") continue;
      for (const name of await finalNames(folder)) {
        expect((await readFile(join(folder, name))).equals(await readFile(join(whole, name)))).toBe(true);
      }
    }
    const resumed = await run([...argv, folder, "--force"]);
    expect(resumed.code, resumed.stderr).toBe(0);
    expect(await contentsOf(folder)).toEqual(await contentsOf(whole));
  });
});

describe("quern convert", () => {
  it("says on SIGINT how to go on, refuses to do something else, and restarts when told", async () => {
    const folder = await temporaryFolder();
    // The journal grows for a while behind this.
    const argv = ["convert", demoCheckpoint, "-j", "1", "-o", join(folder, "m.gguf"), "-t"];
    const stopped = await run([...argv, "Q2_K"], { folder, bytes: 1200, signal: "SIGINT" });
    expect(stopped.code).toBe(130);
    expect(stopped.stderr).toContain("the same command goes on with what is complete");
    expect((await readdir(folder)).sort()).toEqual(["m.gguf.partial", "m.gguf.partial.journal"]);

    const other = await run([...argv, "Q8_0", "--json"]);
    expect(other.code).toBe(4);
    expect(other.stdout).toContain('"RESUME_OTHER_RUN"');
    expect(other.stderr).toMatch(/types, options or metadata are others[^]*--restart/);

    const going = await run([...argv, "Q2_K", "--dry-run"]);
    expect(going.stdout).toContain("what an interrupted run has left");

    const restarted = await run([...argv, "Q8_0", "--restart"]);
    expect(restarted.code, restarted.stderr).toBe(0);
    expect(await readdir(folder)).toEqual(["m.gguf"]);
  });

  it("refuses what another process is writing", async () => {
    const folder = await temporaryFolder();
    const argv = ["convert", demoCheckpoint, "-t", "Q2_K", "-o", join(folder, "m.gguf")];
    const stopped = await run([...argv, "-j", "1"], { folder, bytes: 1200, signal: "SIGKILL" });
    expect(stopped.signal).toBe("SIGKILL");
    const path = join(folder, "m.gguf.partial.journal");
    const journal = await readFile(path, "utf8");
    // This process is there, of which nobody knows when it was started.
    const owned = journal.replace(/"pid":\d+,"started":"\d+"/, `"pid":${process.pid}`);
    await writeFile(path, owned);
    const refused = await run([...argv, "--restart"]);
    expect(refused.code).toBe(4);
    expect(refused.stderr).toContain("OUTPUT_IN_USE");
    expect(await readFile(path, "utf8")).toBe(owned);
  });
});
