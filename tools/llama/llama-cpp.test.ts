// The files that Quern writes, in the real llama.cpp.

import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { getLlama, type Llama, LlamaCompletion, LlamaLogLevel, type LlamaModel } from "node-llama-cpp";
import { main as quern } from "quern";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const repository = fileURLToPath(new URL("../../", import.meta.url));
const demo = join(repository, "examples", "quern-demo");

let folder: string;
let llama: Llama;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-llama-"));
  llama = await getLlama({ gpu: false, build: "never", logLevel: LlamaLogLevel.error, progressLogs: false });
});

afterAll(async () => {
  await llama.dispose();
  await rm(folder, { recursive: true, force: true });
});

/** Converts a checkpoint and returns the path of each type's file. */
async function convert(checkpoint: string, types: readonly string[]): Promise<Map<string, string>> {
  const output = await mkdtemp(join(folder, "model-"));
  const written: string[] = [];
  const sink = { write: (text: string) => written.push(text) };
  const exitCode = await quern(["convert", checkpoint, "-t", types.join(","), "-o", output, "-j", "0"], {
    stdout: sink,
    stderr: sink,
    env: {},
    cwd: repository,
    onInterrupt: () => () => undefined,
  });
  if (exitCode !== 0) {
    throw new Error(`exit code ${exitCode}: ${written.join("")}`);
  }
  const files = await readdir(output);
  return new Map(
    types.map(
      (type) =>
        [
          type,
          join(
            output,
            files.find((file) => file.endsWith(`-${type}.gguf`))!,
          ),
        ] as const,
    ),
  );
}

// One thread: models this small are done before a second one has woken up, and threads that wait for each other spin.

/** The most probable continuation of a text. */
async function continueGreedily(model: LlamaModel, prompt: string, tokens: number): Promise<number[]> {
  const context = await model.createContext({ contextSize: 256, threads: 1 });
  const sequence = context.getSequence();
  const continuation: number[] = [];
  for await (const token of sequence.evaluate(model.tokenize(prompt), {
    temperature: 0,
    yieldEogToken: true,
  })) {
    continuation.push(token);
    if (continuation.length === tokens) break;
  }
  await context.dispose();
  return continuation;
}

describe("the demo model", () => {
  const prompt = "The President of the United States";
  let files: Map<string, string>;

  beforeAll(async () => {
    files = await convert(demo, ["F32", "Q8_0", "Q4_K_M", "Q2_K"]);
  });

  it.each(["F32", "Q8_0", "Q4_K_M", "Q2_K"])("writes text as %s", async (type) => {
    const model = await llama.loadModel({ modelPath: files.get(type)! });
    const context = await model.createContext({ contextSize: 256, threads: 1 });
    const completion = new LlamaCompletion({ contextSequence: context.getSequence() });
    const text = await completion.generateCompletion(prompt, { maxTokens: 24, temperature: 0 });
    await model.dispose();
    expect(text.trim().length).toBeGreaterThan(20);
    expect(text).toMatch(/[a-z]{2,} [a-z]{2,}/);
  });

  it("goes on the same way as Q8_0 as it does as F32", async () => {
    const continuations: number[][] = [];
    for (const type of ["F32", "Q8_0"]) {
      const model = await llama.loadModel({ modelPath: files.get(type)! });
      continuations.push(await continueGreedily(model, prompt, 40));
      await model.dispose();
    }
    expect(continuations[0]).toHaveLength(40);
    expect(continuations[1]).toEqual(continuations[0]);
  });
});
