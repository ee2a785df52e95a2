// Runs command-line programs, Quern's among them, and gives what they print.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

/** The root of the repository. */
export const REPOSITORY = fileURLToPath(new URL("../../../", import.meta.url));

const QUERN = fileURLToPath(new URL("../../../apps/converter/bin/quern.js", import.meta.url));

/**
 * Runs a program to its end; throws what it printed unless it succeeds.
 *
 * @returns both outputs, and the seconds that it took
 */
export async function run(program, argv, { cwd } = {}) {
  const started = performance.now();
  const child = spawn(program, argv, { cwd, stdio: ["ignore", "pipe", "pipe"] });
  const [stdout, stderr, status] = await Promise.all([
    textOf(child.stdout),
    textOf(child.stderr),
    new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code, signal) => resolve(code ?? signal));
    }),
  ]);
  if (status !== 0) {
    const end = `${stdout}\n${stderr}`.trim().split("\n").slice(-12).join("\n");
    throw new Error(`${program} ${argv.join(" ")} ended with ${status}:\n${end}`);
  }
  return { stdout, stderr, seconds: (performance.now() - started) / 1000 };
}

/** Runs Quern's command line. */
export function quern(...argv) {
  return run(process.execPath, [QUERN, ...argv]);
}

async function textOf(stream) {
  stream.setEncoding("utf8");
  let text = "";
  for await (const part of stream) text += part;
  return text;
}
