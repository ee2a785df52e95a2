import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadKernels } from "@quern/kernels";
import { embedTokens, evaluateBlock } from "@quern/models";
import { closeThreads } from "@quern/threads";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { RunnableModel } from "../model.ts";
import { goldenModel, someWindows } from "../testing/golden-model.ts";
import type { ModelWindow } from "../window.ts";
import { HiddenStates } from "./hidden-states.ts";
import { openParameters, type ParameterSource } from "./parameter-source.ts";
import { runModel, type RunProgress } from "./run-model.ts";
import { startInference } from "./service.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "run-model-"));
});
afterEach(() => rm(folder, { recursive: true }));

interface RunOptions {
  readonly threads?: number;
  readonly memory?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: RunProgress) => void;
  readonly change?: (parameters: ParameterSource) => ParameterSource;
}

/** Last hidden states of each window. */
async function run(
  model: RunnableModel,
  windows: readonly ModelWindow[],
  { threads: count = 0, memory = Infinity, change = (same) => same, ...rest }: RunOptions = {},
): Promise<number[][]> {
  const parameters = change(openParameters(model));
  const threads = await startInference({ threads: count });
  const states = await HiddenStates.create({
    tokens: windows.map(({ tokens }) => tokens.length),
    width: model.graph.embedding.width,
    memory,
    folder,
  });
  try {
    await runModel({ model, parameters, threads, windows, states, ...rest });
    const results: number[][] = [];
    for (const index of windows.keys()) {
      const hidden = await states.take(index);
      results.push([...hidden]);
      states.release(index, hidden);
    }
    return results;
  } finally {
    await Promise.all([states.close(), closeThreads(threads), parameters.close()]);
  }
}

/** The same without threads, files and smaller vocabularies. */
async function runDirectly(model: RunnableModel, windows: readonly ModelWindow[]): Promise<number[][]> {
  const kernels = await loadKernels();
  const source = openParameters(model);
  const { embedding, blocks } = model.graph;
  const parameters = await source.load([...embedding.tensors, ...blocks.flatMap(({ tensors }) => tensors)]);
  const evaluation = { kernels, parameters };
  await source.close();
  return windows.map(({ tokens, starts }) => {
    let hidden = embedTokens({ graph: embedding, evaluation, tokens, starts });
    for (const graph of blocks) {
      hidden = evaluateBlock({ graph, evaluation, hidden, tokens: tokens.length, starts });
    }
    return [...hidden];
  });
}

describe("runModel", () => {
  it.each(["llama2-spm", "gemma2", "qwen3moe", "gpt2", "deepseek2-lite"])(
    "computes what the blocks of %s do, with any number of threads and any memory",
    async (name) => {
      const model = await goldenModel(name);
      const windows = someWindows([20, 31, 5, 20, 1], model.vocabularySize);
      const expected = await runDirectly(model, windows);
      expect(await run(model, windows)).toEqual(expected);
      expect(await run(model, windows, { threads: 1, memory: 0 })).toEqual(expected);
      const some = 4 * model.graph.embedding.width * 40;
      expect(await run(model, windows, { threads: 2, memory: some })).toEqual(expected);
    },
  );

  it("tells how far it is", async () => {
    const model = await goldenModel("llama2-spm");
    const seen: RunProgress[] = [];
    await run(model, someWindows([4, 6], model.vocabularySize), {
      onProgress: (progress) => seen.push(progress),
    });
    const blocks = model.graph.blocks.length;
    expect(seen).toHaveLength(2 * blocks);
    expect(seen[0]).toEqual({ block: 0, blocks, windowsDone: 1, tokensDone: 4, windows: 2, tokens: 10 });
    expect(seen.at(-1)).toMatchObject({ block: blocks - 1, windowsDone: 2, tokensDone: 10 });
  });

  it("leaves no file of its states, not even while it runs", async () => {
    const model = await goldenModel("llama2-spm");
    const names: string[] = [];
    await run(model, someWindows([4, 6], model.vocabularySize), {
      memory: 0,
      change: (source) => ({
        ...source,
        load: async (wanted) => {
          names.push(...(process.platform === "win32" ? [] : await readdir(folder)));
          return source.load(wanted);
        },
      }),
    });
    expect([...names, ...(await readdir(folder))]).toEqual([]);
  });

  it.each([0, 1])("names the block that makes NaN, with %i threads", async (threads) => {
    const model = await goldenModel("llama2-spm");
    const spoil = (source: ParameterSource): ParameterSource => ({
      ...source,
      async load(names) {
        const loaded = await source.load(names);
        const norm = loaded.get("blk.1.ffn_norm.weight");
        if (norm !== undefined) norm.data[3] = Number.NaN;
        return loaded;
      },
    });
    const windows = someWindows([4, 6], model.vocabularySize);
    await expect(run(model, windows, { threads, change: spoil })).rejects.toMatchObject({
      code: "ACTIVATION_NOT_FINITE",
      message: expect.stringMatching(/^blk\.1 makes NaN of token 0 of window \d/),
      subject: { key: "blk.1" },
    });
  });

  it("refuses tokens that the model lacks before it computes anything", async () => {
    const model = await goldenModel("llama2-spm");
    const tokens = Int32Array.of(1, 2, model.vocabularySize);
    await expect(run(model, [{ tokens, starts: [0] }])).rejects.toMatchObject({
      code: "FORWARD_TOKENS",
      subject: { offset: 2 },
    });
  });

  it("stops by its signal", async () => {
    const model = await goldenModel("llama2-spm");
    const controller = new AbortController();
    const stop = (): void => controller.abort(new Error("enough"));
    const windows = someWindows([4, 6], model.vocabularySize);
    const options = { signal: controller.signal, onProgress: stop };
    await expect(run(model, windows, options)).rejects.toThrow("enough");
  });
});

describe("HiddenStates", () => {
  it.each([0, 100, Infinity])("are saved and restored, with %d bytes of memory", async (memory) => {
    const options = { tokens: [3, 5, 1], width: 4, memory, folder };
    const states = await HiddenStates.create(options);
    for (const index of options.tokens.keys()) {
      const hidden = states.room(index);
      hidden.forEach((_, element) => (hidden[element] = index + element / 100));
      await states.put(index, hidden);
    }
    const path = join(folder, "saved");
    await states.save(path);
    await states.save(path);
    const others = await HiddenStates.create({ ...options, memory: 50 });
    await others.restore(path);
    for (const index of options.tokens.keys())
      expect(await others.take(index)).toEqual(await states.take(index));
    await writeFile(path, "short");
    await expect(others.restore(path)).rejects.toMatchObject({ code: "HIDDEN_STATES_SIZE" });
    await Promise.all([states.close(), others.close()]);
    expect(existsSync(`${path}.partial`)).toBe(false);
  });

  it("say that there is no room for their file", async () => {
    await writeFile(join(folder, "file"), "");
    const options = { tokens: [3], width: 4, memory: 0, folder: join(folder, "file") };
    await expect(HiddenStates.create(options)).rejects.toMatchObject({
      code: expect.stringMatching(/^OUTPUT_/),
    });
  });
});
