// Runs that are killed while they quantize layers, in processes of their own. Runs the compiled files.

import { createHash } from "node:crypto";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { demoCheckpoint, longSearch, repositoryPath } from "./testing/run-cli.ts";
import { runProcess } from "./testing/run-process.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-killed-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function hashOf(path: string): Promise<string> {
  return createHash("sha256")
    .update(await readFile(path))
    .digest("hex");
}

/** Hash of each file. */
async function hashesOf(path: string): Promise<Record<string, string>> {
  const names = (await readdir(path)).sort();
  const hashes = names.map(async (name) => [name, await hashOf(join(path, name))] as const);
  return Object.fromEntries(await Promise.all(hashes));
}

function doneIn(stdout: string): number {
  return stdout.split('"tensor:done"').length - 1;
}

/** Tensors that are rounded by inputs, of which figures are told. */
function roundedIn(stdout: string): number {
  return stdout.split("\n").filter((line) => line.includes('"tensor:done"') && line.includes('"errors"'))
    .length;
}

interface Result {
  readonly resumed: number;
  readonly layers: readonly object[];
  readonly tensors: readonly object[];
}

function resultOf(stdout: string): Result {
  return JSON.parse(stdout.trimEnd().split("\n").at(-1)!) as Result;
}

const few = ["--tokens", "512"];

/** The demo model has 4 blocks with 7 layers each. */
const LAYERS = 28;

describe.each([
  ["to a checkpoint of its own statistics", longSearch, [12]],
  ["along with the model", ["--to", "gptq", "--sequential", ...few], [0, 12]],
] as const)("a conversion %s that is killed", (_what, options, moments) => {
  it("is gone on with, and makes the same files", async () => {
    const argv = ["convert", demoCheckpoint, ...options, "--json", "-j", "1", "-o"];
    const whole = await runProcess([...argv, join(folder, "whole")]);
    expect(whole.code, whole.stderr).toBe(0);
    const expected = await hashesOf(join(folder, "whole"));
    expect(doneIn(whole.stdout)).toBe(LAYERS);
    // Each run is killed in turn, and goes on with what the one before has left.
    const output = join(folder, "killed");
    let finished = 0;
    for (const moment of moments) {
      const killed = await runProcess([...argv, output], ({ stdout }, kill) => {
        const reached = moment === 0 ? stdout.includes('"start"') : doneIn(stdout) + finished >= moment;
        if (reached) kill("SIGKILL");
      });
      expect(killed.signal).toBe("SIGKILL");
      finished += doneIn(killed.stdout);
      expect(await readdir(folder)).toContain("killed.partial.journal");
      expect(await readdir(folder)).not.toContain("killed");
    }
    const last = await runProcess([...argv, output]);
    expect(last.code, last.stderr).toBe(0);
    const result = resultOf(last.stdout);
    expect(result.resumed).toBeGreaterThan(2 * moments.at(-1)!);
    // As many layers are made as were not noted; what was under way when a run was killed may have been.
    expect(doneIn(last.stdout)).toBeLessThanOrEqual(LAYERS - finished);
    expect(await hashesOf(output)).toEqual(expected);
    expect(result.layers).toEqual(resultOf(whole.stdout).layers);
    expect(result.tensors).toEqual(resultOf(whole.stdout).tensors);
    expect((await readdir(folder)).sort()).toEqual(["killed", "whole"]);
    await rm(output, { recursive: true });
    await rm(join(folder, "whole"), { recursive: true });
  });
});

it("goes on with a GGUF file that is rounded along with the model, and makes the same", async () => {
  const argv = ["convert", demoCheckpoint, "-t", "Q4_0", "--rounding", "gptq", "--sequential", ...few];
  const resources = ["--json", "-j", "1", "-o"];
  const whole = await runProcess([...argv, ...resources, join(folder, "whole.gguf")]);
  expect(whole.code, whole.stderr).toBe(0);
  const tensors = doneIn(whole.stdout);
  expect(tensors).toBeGreaterThan(LAYERS);
  const output = join(folder, "killed.gguf");
  const left = new Set<string>();
  // In the first of the blocks, and in a later one.
  for (const rounded of [4, 15]) {
    const killed = await runProcess([...argv, ...resources, output], ({ stdout }, kill) => {
      if (roundedIn(stdout) >= rounded) kill("SIGKILL");
    });
    expect(killed.signal).toBe("SIGKILL");
    for (const name of await readdir(folder)) left.add(name.replace(/-[0-9a-f]{16}$/, ""));
  }
  expect([...left]).toEqual(
    expect.arrayContaining(["killed.gguf.partial", "killed.gguf.partial.journal", "killed.gguf.hidden-1"]),
  );
  const last = await runProcess([...argv, ...resources, output]);
  expect(last.code, last.stderr).toBe(0);
  expect(last.stdout).toContain('"type":"resume"');
  expect(doneIn(last.stdout)).toBeLessThan(tensors - 4 - 15);
  const [made, expected] = await Promise.all(
    [output, join(folder, "whole.gguf")].map((path) => readFile(path)),
  );
  expect(made!.equals(expected!)).toBe(true);
  const outputOf = (stdout: string): object =>
    (resultOf(stdout) as unknown as { outputs: object[] }).outputs[0]!;
  const { files: _made, ...result } = outputOf(last.stdout) as { files: object };
  expect(outputOf(whole.stdout)).toMatchObject(result);
  expect((await readdir(folder)).sort()).toEqual(["killed.gguf", "whole.gguf"]);
  await Promise.all([rm(output), rm(join(folder, "whole.gguf"))]);
});

describe.each([
  ["checkpoint", ["--recipe"]],
  ["GGUF file", ["-t", "Q4_0", "--rounding", "gptq", "--transform", "smooth-quant"]],
] as const)("a %s with factors that are folded in along with the model", (what, options) => {
  it("is gone on with in each block, and becomes the same", async () => {
    const recipe = join(folder, "recipe.yaml");
    await writeFile(
      recipe,
      "name: awq-and-gptq\nformat: gptq\nparameters: { bits: 4, groupSize: 32, symmetric: true }\n" +
        "transforms: [{ name: awq, options: { steps: 4 } }]\nrounding: { name: gptq }\n",
    );
    const model = repositoryPath("fixtures/golden/llama2-spm/checkpoint");
    const texts = ["--sequential", "--data", join(demoCheckpoint, "tokenizer.json"), "--tokens", "5632"];
    const argv = [
      "convert",
      model,
      ...options,
      ...(what === "checkpoint" ? [recipe] : []),
      ...texts,
      "--json",
      "-j",
      "1",
      "-o",
    ];
    const isFile = what !== "checkpoint";
    const done = isFile ? roundedIn : doneIn;
    const whole = await runProcess([...argv, join(folder, "whole")]);
    expect(whole.code, whole.stderr).toBe(0);
    const output = join(folder, "killed");
    // Of the 7 layers of each of 2 blocks.
    let finished = 0;
    for (const moment of [0, 3, 10]) {
      const killed = await runProcess([...argv, output], ({ stdout }, kill) => {
        const reached = moment === 0 ? stdout.includes('"start"') : done(stdout) + finished >= moment;
        if (reached) kill("SIGKILL");
      });
      expect(killed.signal).toBe("SIGKILL");
      finished += done(killed.stdout);
    }
    const journal = await readFile(`${output}.partial.journal`, "utf8");
    expect(journal.split('"factors"').length - 1).toBe(2);
    const last = await runProcess([...argv, output]);
    expect(last.code, last.stderr).toBe(0);
    expect(last.stdout).toContain('"type":"resume"');
    // The first block is complete.
    expect(done(last.stdout)).toBeLessThanOrEqual(7);
    const [made, expected] = await Promise.all(
      [output, join(folder, "whole")].map((path) => (isFile ? hashOf(path) : hashesOf(path))),
    );
    expect(made).toEqual(expected);
    expect((await readdir(folder)).sort()).toEqual(["killed", "recipe.yaml", "whole"]);
    for (const name of await readdir(folder)) await rm(join(folder, name), { recursive: true });
  });
});

it("tells an unfinished run of another recipe, and throws it away when that is wanted", async () => {
  const output = join(folder, "other");
  const argv = ["convert", demoCheckpoint, ...longSearch, "-j", "1", "-o", output];
  const killed = await runProcess([...argv, "--json"], ({ stdout }, kill) => {
    if (doneIn(stdout) >= 3) kill("SIGKILL");
  });
  expect(killed.signal).toBe("SIGKILL");
  const left = await readdir(`${output}.partial`);
  const planned = await runProcess([...argv, "--dry-run"]);
  expect(planned.stdout).toMatch(/goes on +with what an interrupted run has left/);
  const anew = await runProcess([...argv, "--bits", "8", "--dry-run", "--restart"]);
  expect(anew.code, anew.stderr).toBe(0);
  expect(anew.stdout).not.toContain("goes on");
  expect(await readdir(`${output}.partial`)).toEqual(left);
  const other = await runProcess([...argv, "--bits", "8", "--dry-run"]);
  expect(other.code).toBe(4);
  expect(other.stderr).toContain("RESUME_OTHER_RUN");
  expect(other.stderr).toMatch(/differs in recipe/);
  const restarted = await runProcess([...argv, "--bits", "8", "--restart"]);
  expect(restarted.code, restarted.stderr).toBe(0);
  expect(restarted.stdout).not.toContain("resumed");
});
