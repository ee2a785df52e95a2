// The real program in a process of its own: what tests inside this process cannot see. Runs the compiled files.

import { execFile, spawn, spawnSync } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { constants } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it, vi } from "vitest";
import { exitCodes } from "./exit-codes.ts";
import { demoCheckpoint, temporaryFolder } from "./testing/run-cli.ts";
import { type ProcessRun, program, runProcess } from "./testing/run-process.ts";

/** Packages of this repository that a run loads on the main thread. */
async function loadedPackages(argv: readonly string[]): Promise<Set<string>> {
  const hooks = `import { writeSync } from "node:fs";
    export async function load(url, context, next) { writeSync(2, url + "\\n"); return next(url, context); }`;
  const registration = `import { register } from "node:module"; register("data:text/javascript,${encodeURIComponent(hooks)}");`;
  const options = ["--import", `data:text/javascript,${encodeURIComponent(registration)}`];
  const { stderr } = await promisify(execFile)(process.execPath, [...options, program, ...argv]);
  return new Set(Array.from(stderr.matchAll(/\/packages\/([^/]+)\/dist\//g), ([, name]) => name!));
}

/** That of util-linux, which runs a program on a terminal of its own. */
const hasScript = /util-linux/.test(spawnSync("script", ["--version"], { encoding: "utf8" }).stdout ?? "");

describe("the program", () => {
  it.each([
    { argv: ["--help"], others: ["gguf", "models", "pipeline"] },
    { argv: ["types"], others: ["corpus", "inference", "reports"] },
    {
      argv: ["convert", demoCheckpoint, "-t", "Q8_0", "--dry-run", "-o", "unwritten.gguf"],
      others: ["calibration", "corpus", "evaluation", "inference", "queue", "reports"],
    },
    { argv: ["verify", "--help"], others: ["corpus", "inference", "reports"] },
  ])("loads what it needs for quern $argv.0", async ({ argv, others }) => {
    const packages = await loadedPackages(argv);
    expect(packages).toContain("tensor");
    for (const name of others) expect(packages).not.toContain(name);
  });

  it("goes on with a calibration that was killed, and makes the same file", async () => {
    const folder = await temporaryFolder();
    const path = join(folder, "killed.safetensors");
    const argv = ["calibrate", demoCheckpoint, "--tokens", "4096", "-j", "1", "-o"];
    const killed = await runProcess([...argv, path], ({ stderr }, kill) => {
      if (stderr.includes("block 3 of 4")) kill("SIGKILL");
    });
    expect(killed.signal).toBe("SIGKILL");
    expect((await readdir(folder)).sort()).toEqual([
      expect.stringMatching(/^killed\.safetensors\.hidden-[23]-/),
      "killed.safetensors.partial",
      "killed.safetensors.partial.journal",
    ]);
    const resumed = await runProcess([...argv, path]);
    expect(resumed.stdout).toMatch(/; [23] of 4 blocks were done before/);
    expect(resumed.code).toBe(0);
    const whole = join(folder, "whole.safetensors");
    expect((await runProcess([...argv, whole, "-q"])).code).toBe(0);
    expect((await readFile(path)).equals(await readFile(whole))).toBe(true);
    expect((await readdir(folder)).sort()).toEqual(["killed.safetensors", "whole.safetensors"]);
  });

  it.each(["SIGINT", "SIGTERM"] as const)("keeps only what it can go on with on %s", async (signal) => {
    const folder = await temporaryFolder();
    const types = "Q2_K,Q3_K_S,Q3_K_M,Q3_K_L,Q4_K_S,Q4_K_M,Q5_K_S,Q5_K_M,Q6_K";
    let isKilled = false;
    const run = await runProcess(
      ["convert", demoCheckpoint, "-t", types, "-o", folder],
      ({ stderr }, kill) => {
        // A second signal would end it at once.
        if (isKilled || !stderr.includes("converting")) return;
        isKilled = true;
        kill(signal);
      },
    );
    expect(run.stderr).toContain("INTERRUPTED");
    expect(run).toMatchObject({ code: 130, signal: null, stdout: "" });
    for (const name of await readdir(folder)) expect(name).toMatch(/\.gguf\.partial(\.journal)?$/);
  });

  it("works on when the terminal that started it is closed, where it shows nothing there", async () => {
    const folder = await temporaryFolder();
    let isHungUp = false;
    const run = await runProcess(
      ["convert", demoCheckpoint, "-t", "Q4_K_M", "-o", folder],
      ({ stderr }, kill) => {
        if (isHungUp || !stderr.includes("converting")) return;
        isHungUp = true;
        kill("SIGHUP");
      },
    );
    expect([run.code, run.signal, isHungUp]).toEqual([0, null, true]);
    expect(await readdir(folder)).toEqual([expect.stringMatching(/Q4_K_M\.gguf$/)]);
  });

  it.runIf(hasScript)("keeps what it can go on with when its terminal is closed", async () => {
    const folder = await temporaryFolder();
    const status = join(folder, "status");
    const types = "Q2_K,Q3_K_S,Q3_K_M,Q3_K_L,Q4_K_S,Q4_K_M,Q5_K_S,Q5_K_M,Q6_K";
    await writeFile(
      join(folder, "watched.sh"),
      `trap : HUP; "${process.execPath}" "${program}" convert "${demoCheckpoint}" -t ${types} -o "${folder}/out/"; echo $? > "${status}"`,
    );
    // The outer shell is whom the terminal belongs to: it ends, and what it started is told.
    const command = `sh "${folder}/watched.sh"; :`;
    const terminal = spawn("script", ["-qefc", command, "/dev/null"], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    let text = "";
    for await (const piece of terminal.stdout) {
      text += String(piece);
      if (/\d%.* of /.test(text)) terminal.kill("SIGKILL");
    }
    await vi.waitUntil(() => existsSync(status) && readFileSync(status, "utf8") !== "", { timeout: 20_000 });
    // As a shell says that a signal ended it: 128 and the number of the signal.
    expect(readFileSync(status, "utf8")).toBe(`${128 + constants.signals.SIGHUP}\n`);
    for (const name of await readdir(join(folder, "out")))
      expect(name).toMatch(/\.gguf\.partial(\.journal)?$/);
  });

  it.runIf(existsSync("/dev/full"))("says that results could not be written, in a line", async () => {
    const full = openSync("/dev/full", "w");
    try {
      const { status, stderr } = spawnSync(process.execPath, [program, "types"], {
        stdio: ["ignore", full, "pipe"],
        encoding: "utf8",
      });
      expect(stderr).toMatch(/^error: standard output cannot be written: ENOSPC.*\n$/);
      expect(status).toBe(exitCodes.output);
    } finally {
      closeSync(full);
    }
  });

  it("ends quietly when its reader has seen enough", async () => {
    const run = await new Promise<ProcessRun>((resolve) => {
      const child = spawn(process.execPath, [program, "inspect", demoCheckpoint, "--json", "--full"], {
        stdio: ["ignore", "pipe", "pipe"],
      });
      child.stdout.destroy();
      let stderr = "";
      child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
      child.on("close", (code, signal) => resolve({ code, signal, stdout: "", stderr }));
    });
    expect(run).toMatchObject({ code: 0, signal: null, stderr: "" });
  });

  it("writes the same bytes with the best kernels and two threads as with Wasm and none", async () => {
    const folder = await temporaryFolder();
    const [best, wasm] = ["best.gguf", "wasm.gguf"].map((name) => join(folder, name)) as [string, string];
    const argv = ["convert", demoCheckpoint, "-t", "Q4_K_M", "-o"];
    const runs = await Promise.all([
      runProcess([...argv, best, "-j", "2"]),
      runProcess([...argv, wasm, "-j", "0", "--kernels", "wasm"]),
    ]);
    expect(runs.map(({ code }) => code)).toEqual([0, 0]);
    expect(runs[1].stdout).toMatch(/^kernels +wasm simd128$/m);
    expect((await readFile(best)).equals(await readFile(wasm))).toBe(true);
  });
});
