// build.mjs on a machine without a C compiler.
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";

const packageRoot = fileURLToPath(new URL("..", import.meta.url));
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kernels-build-"));
  for (const name of ["build.mjs", "csrc"])
    await cp(join(packageRoot, name), join(folder, name), { recursive: true });
  await mkdir(join(folder, "dist"));
  // So that only the addon is to be built.
  await writeOutput("quern-kernels.wasm", Date.now() / 1000 + 60);
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

/** An output that was written at `time`, in seconds. */
async function writeOutput(name: string, time: number): Promise<void> {
  const path = join(folder, "dist", name);
  await writeFile(path, "");
  await utimes(path, time, time);
}

async function build(env: NodeJS.ProcessEnv): Promise<string> {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ["build.mjs"], { cwd: folder, env });
  return stdout + stderr;
}

it("goes on without native kernels, in one line", async () => {
  expect(await build({ PATH: "", CC: "no-such-compiler" })).toBe(
    "No native kernels: no C compiler found (tried $CC, cc, clang, gcc). The Wasm kernels do the same work, slower.\n",
  );
  expect(await readdir(join(folder, "dist"))).toEqual(["quern-kernels.wasm"]);
});

it("removes native kernels that are older than their sources", async () => {
  await writeOutput("quern-kernels.node", 0);
  await build({ PATH: "" });
  expect(await readdir(join(folder, "dist"))).toEqual(["quern-kernels.wasm"]);
});

it("does nothing when everything is newer than its sources", async () => {
  await writeOutput("quern-kernels.node", Date.now() / 1000 + 60);
  expect(await build({ PATH: "" })).toBe("");
});
