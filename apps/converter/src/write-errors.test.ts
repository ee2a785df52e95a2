// Writing that fails in the midst of the work: the system refuses to let the files of a process grow (prlimit(1), of util-linux).

import { execFileSync, spawn } from "node:child_process";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { exitCodes } from "./exit-codes.ts";
import { demoCheckpoint, temporaryFolder } from "./testing/run-cli.ts";
import { program, runProcess } from "./testing/run-process.ts";

/** Runs the command line; once a file is there and has so many bytes, no file may be written to behind its first bytes any more. */
async function runLimited(
  argv: readonly string[],
  when: { readonly path: string; readonly bytes: number },
): Promise<{ readonly code: number | null; readonly stderr: string }> {
  const child = spawn(process.execPath, [program, ...argv], { stdio: ["ignore", "ignore", "pipe"] });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
  const size = async (): Promise<number> => (await stat(when.path).catch(() => undefined))?.size ?? 0;
  while (child.exitCode === null && (await size()) < when.bytes) await sleep(1);
  execFileSync("prlimit", ["--pid", String(child.pid), "--fsize=512"]);
  return { code: await ended, stderr };
}

describe.runIf(process.platform === "linux")("a file that cannot be written any more", () => {
  it.each([
    {
      command: "convert",
      options: ["-t", "Q2_K"],
      output: "m.gguf",
      journal: "m.gguf.partial.journal",
      bytes: 1200,
      left: ["m.gguf.partial", "m.gguf.partial.journal"],
    },
    {
      command: "calibrate",
      options: ["--tokens", "4096"],
      output: "s.safetensors",
      journal: "s.safetensors.journal",
      bytes: 1,
      left: ["s.safetensors.journal", "s.safetensors.partial"],
    },
  ])("$command says so, and goes on when it can be", async ({ command, options, ...files }) => {
    const { output, journal, bytes, left } = files;
    const [folder, whole] = [await temporaryFolder(), await temporaryFolder()];
    const argv = (where: string): string[] => {
      return [command, demoCheckpoint, ...options, "-j", "1", "-o", join(where, output)];
    };
    const failed = await runLimited(argv(folder), { path: join(folder, journal), bytes });
    expect(failed.code, failed.stderr).toBe(exitCodes.output);
    expect(failed.stderr).toMatch(/writing failed: EFBIG/);
    expect(failed.stderr).toContain(output);
    expect(await readdir(folder)).toEqual(expect.arrayContaining(left));
    expect(await readdir(folder)).not.toContain(output);
    const resumed = await runProcess(argv(folder));
    expect(resumed.code, resumed.stderr).toBe(0);
    expect((await runProcess(argv(whole))).code).toBe(0);
    expect(await readdir(folder)).toEqual([output]);
    const [made, expected] = await Promise.all([folder, whole].map((where) => readFile(join(where, output))));
    expect(made!.equals(expected!)).toBe(true);
  });
});
