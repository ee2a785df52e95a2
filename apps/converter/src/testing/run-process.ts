import { spawn } from "node:child_process";
import { repositoryPath } from "./run-cli.ts";

/** The compiled program. */
export const program: string = repositoryPath("apps/converter/bin/quern.js");

export interface ProcessRun {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs the command line in a process of its own.
 *
 * @param onText Called with everything so far on standard error and standard output, and what sends a signal.
 * @param env Default: that of this process.
 */
export function runProcess(
  argv: readonly string[],
  onText?: (text: { stdout: string; stderr: string }, kill: (signal: NodeJS.Signals) => void) => void,
  env: NodeJS.ProcessEnv = process.env,
): Promise<ProcessRun> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, ...argv], { stdio: ["ignore", "pipe", "pipe"], env });
    let stdout = "";
    let stderr = "";
    const told = (): void => onText?.({ stdout, stderr }, (signal) => child.kill(signal));
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
      told();
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
      told();
    });
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}
