import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { program } from "./run-process.ts";

/** A process of the compiled program that goes on while a test looks. */
export class ProgramProcess {
  readonly process: ChildProcess;
  /** Its exit code. */
  readonly ended: Promise<number | null>;
  /** All that it has said so far. */
  text = "";

  constructor(argv: readonly string[], env: Readonly<Record<string, string>> = {}) {
    this.process = spawn(process.execPath, [program, ...argv], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...env },
    });
    for (const stream of [this.process.stdout!, this.process.stderr!]) {
      stream.setEncoding("utf8").on("data", (text: string) => (this.text += text));
    }
    this.ended = new Promise((resolve) => this.process.on("close", resolve));
  }

  /** Waits until it has said something. */
  async says(text: string | RegExp): Promise<void> {
    await until(() => this.text.search(text) >= 0 || this.process.exitCode !== null);
    if (this.text.search(text) < 0) throw new Error(`expected ${String(text)} in:\n${this.text}`);
  }

  /** Ends it at once, if it has not ended by itself. */
  async kill(): Promise<void> {
    if (this.process.exitCode === null && this.process.signalCode === null) this.process.kill("SIGKILL");
    await this.ended;
  }
}

export async function until(condition: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await condition())) await sleep(5);
}

/** SHA-256 of all files of a folder, by name. */
export async function hashesOf(folder: string): Promise<Record<string, string>> {
  const names = (await readdir(folder)).sort();
  const files = names.map(async (name) => {
    const bytes = await readFile(join(folder, name));
    return [name, createHash("sha256").update(bytes).digest("hex")] as const;
  });
  return Object.fromEntries(await Promise.all(files));
}
