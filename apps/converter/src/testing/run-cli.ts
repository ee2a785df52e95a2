import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach } from "vitest";
import { main } from "../main.ts";
import { MemoryHost } from "./memory-host.ts";

const repository = new URL("../../../../", import.meta.url);

/** Path of something in the repository. */
export function repositoryPath(path: string): string {
  return fileURLToPath(new URL(path, repository));
}

/** The trained example model. */
export const demoCheckpoint: string = repositoryPath("examples/quern-demo");

/** Options of a checkpoint that takes long enough to be interrupted, even of that model. */
export const longSearch: readonly string[] = [
  "--recipe",
  repositoryPath("apps/converter/src/testing/long-search.yaml"),
];

const folders: string[] = [];

afterEach(async () => {
  await Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true, force: true })));
});

/** An empty folder that is removed after the test. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "quern-"));
  folders.push(folder);
  return folder;
}

export interface CliRun {
  readonly exitCode: number;
  readonly host: MemoryHost;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs the command line in this process.
 *
 * @param params.cwd default: the repository
 * @param params.onStderr called with each piece of text that goes to standard error
 */
export async function runCli(params: {
  readonly argv: readonly string[];
  readonly cwd?: string;
  readonly env?: Record<string, string>;
  readonly terminal?: boolean;
  /** default: not a terminal */
  readonly columns?: number;
  readonly onStderr?: (text: string, host: MemoryHost) => void;
}): Promise<CliRun> {
  const host = new MemoryHost({
    cwd: params.cwd ?? repositoryPath("."),
    ...(params.env === undefined ? {} : { env: params.env }),
    ...(params.terminal === undefined ? {} : { terminal: params.terminal }),
    ...(params.columns === undefined ? {} : { columns: params.columns }),
  });
  const { onStderr } = params;
  if (onStderr !== undefined) {
    host.stderr.onWrite = (text) => onStderr(text, host);
  }
  const exitCode = await main(params.argv, host);
  return { exitCode, host, stdout: host.stdout.text, stderr: host.stderr.text };
}
