import { cp, mkdtemp, open, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Checkpoint } from "@quern/checkpoints";
import { openModel } from "@quern/checkpoints/node";
import { checkpointTokenizer } from "@quern/corpus";
import { loadKernels } from "@quern/kernels";
import { embedTokens, evaluateBlock, outputLogits } from "@quern/models";
import { openParameters } from "@quern/inference";
import { readSafetensors } from "safetensors-js";
import { fileSource } from "@quern/tensor/node";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { EvaluationEvent } from "../events.ts";
import { openReference } from "../node/open-reference.ts";
import type { EvaluationPlan, EvaluationRequest } from "../planning/evaluation-plan.ts";
import { planEvaluation } from "../planning/plan-evaluation.ts";
import type { EvaluationReport } from "../report.ts";
import { checkpointPath, fixtureText, openInput, textNamed } from "../testing/golden-evaluation.ts";
import { evaluate } from "./evaluate.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "evaluate-"));
});
afterEach(() => rm(folder, { recursive: true }));

const text = await fixtureText();
const sources = [
  textNamed("texts/a.txt", text.slice(0, 9000)),
  textNamed("b.txt", text.slice(15_000, 21_000)),
];
const rule = { context: 32, score: "half" } as const;

async function plan(name: string, request: Partial<EvaluationRequest> = {}): Promise<EvaluationPlan> {
  const model = await openInput(checkpointPath(name));
  return planEvaluation({ model, sources, rule, limit: 12, threads: 0, tool: "test", folder, ...request });
}

/** What does not depend on the machine. */
function figures(report: EvaluationReport): Omit<EvaluationReport, "run"> {
  return { ...report, run: undefined } as Omit<EvaluationReport, "run">;
}

/** A copy of a checkpoint with other weights. @param change Is given the numbers of every tensor, in F32 or BF16 words. */
async function changedCheckpoint(
  name: string,
  change: (words: Uint16Array, tensor: string) => void,
): Promise<string> {
  const path = join(folder, `${name}-changed`);
  await cp(checkpointPath(name), path, { recursive: true });
  const file = (await readdir(path)).find((entry) => entry.endsWith(".safetensors"))!;
  const source = await fileSource({ path: join(path, file) });
  const { tensors } = await readSafetensors(source);
  const handle = await open(join(path, file), "r+");
  for (const [tensorName, tensor] of tensors) {
    expect(tensor.info.type).toMatch(/^(BF16|F16)$/);
    const bytes = (await tensor.read()).slice();
    change(new Uint16Array(bytes.buffer), tensorName);
    await handle.write(bytes, 0, bytes.length, tensor.offset);
  }
  await handle.close();
  await source.close();
  return path;
}

/** Takes the lowest bits away. */
const rounded = (words: Uint16Array): void => {
  for (let index = 0; index < words.length; index++) words[index]! &= 0xfff0;
};

/** Logits of all scored positions, window by window, without threads and tasks. */
async function directLogits({
  model,
  reference,
  corpus,
  positions,
}: EvaluationPlan): Promise<Float32Array[][]> {
  const kernels = await loadKernels();
  const models = [model, ...(reference?.kind === "model" ? [reference] : [])];
  const all: Float32Array[][] = [];
  for (const { runnable } of models) {
    const { embedding, blocks, output } = runnable.graph;
    const source = openParameters(runnable);
    const names = [embedding, ...blocks, output].flatMap(({ tensors }) => tensors);
    const evaluation = { kernels, parameters: await source.load(names) };
    await source.close();
    all.push(
      corpus.windows.flatMap(({ tokens }) => {
        let hidden = embedTokens({ graph: embedding, evaluation, tokens });
        for (const graph of blocks)
          hidden = evaluateBlock({ graph, evaluation, hidden, tokens: tokens.length });
        const logits = outputLogits({ graph: output, evaluation, hidden, rows: tokens.length });
        const size = logits.length / tokens.length;
        return Array.from({ length: positions.count }, (_, index) => {
          const row = positions.first + index;
          return logits.slice(row * size, (row + 1) * size);
        });
      }),
    );
  }
  return all;
}

describe("evaluate", () => {
  it.each([
    ["llama31-bpe", "half"],
    ["qwen3moe", "all"],
    ["gemma2", "half"],
  ] as const)("has the figures of the definitions for %s, scored by %s", async (name, score) => {
    const other = await openInput(await changedCheckpoint(name, rounded));
    const planned = await plan(name, { reference: other, rule: { context: 33, score } });
    const [own, reference] = await directLogits(planned);
    const { windows } = planned.corpus;
    const { first, count } = planned.positions;
    let [loss, divergence, agreeing] = [0, 0, 0];
    for (const [position, q] of own!.entries()) {
      const p = reference![position]!;
      const right = windows[Math.floor(position / count)]!.tokens[first + (position % count) + 1]!;
      const log = (logits: Float32Array): number[] => {
        const values = Array.from(logits);
        const sum = Math.log(values.reduce((total, value) => total + Math.exp(value), 0));
        return values.map((value) => value - sum);
      };
      const [logP, logQ] = [log(p), log(q)];
      loss -= logQ[right]!;
      divergence += logP.reduce((sum, value, token) => sum + Math.exp(value) * (value - logQ[token]!), 0);
      agreeing += Number(p.indexOf(Math.max(...p)) === q.indexOf(Math.max(...q)));
    }
    const report = await evaluate(planned);
    const { total } = report;
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
    expect(total.positions).toBe(own!.length);
    expect(count).toBe(score === "half" ? 16 : 32);
    expect(Math.log(total.perplexity.value)).toBeCloseTo(loss / own!.length, 10);
    expect(total.comparison!.divergence.mean.value / (divergence / own!.length)).toBeCloseTo(1, 8);
    expect(total.comparison!.agreement.value).toBeCloseTo(agreeing / own!.length, 12);
    expect(divergence).toBeGreaterThan(0);
  });

  it("has the same figures with any number of threads, any memory, and logits of any number of positions", async () => {
    const reference = await openInput(await changedCheckpoint("llama31-bpe", rounded));
    const planned = await plan("llama31-bpe", { reference });
    const expected = figures(await evaluate(planned));
    const spilled = { ...planned.memory, states: 0, rows: 1 };
    for (const changed of [
      { threads: 2 },
      { memory: spilled },
      { threads: 1, memory: { ...spilled, states: 20_000, rows: 5 } },
    ]) {
      expect(figures(await evaluate({ ...planned, ...changed }))).toEqual(expected);
    }
    expect(expected.domains.map(({ name, windows }) => [name, windows])).toEqual([
      ["a.txt", 6],
      ["b.txt", 6],
    ]);
    expect(expected.total).toMatchObject({ name: "all", windows: 12, positions: 12 * 15 });
    expect(expected.domains.map(({ positions }) => positions)).toEqual([90, 90]);
    expect(expected.reference!.identity).toBe(expected.model.identity);
  });

  it("finds nothing between a model and itself", async () => {
    const reference = await openInput(checkpointPath("llama31-bpe"));
    const { comparison } = (await evaluate(await plan("llama31-bpe", { reference }))).total;
    expect(comparison).toMatchObject({
      logPerplexityRatio: { value: 0 },
      divergence: { mean: { value: 0, error: 0 }, maximum: 0 },
      deltaP: { rootMeanSquare: { value: 0, error: 0 } },
      agreement: { value: 1, error: 0 },
    });
    expect(comparison!.divergence.histogram.below).toBe(180);
  });

  it("scores all positions but the first, without special tokens", async () => {
    const planned = await plan("llama2-spm", { rule: { context: 16, score: "all" } });
    expect(planned.positions).toEqual({ first: 0, count: 15 });
    const { bos } = (await openInput(checkpointPath("llama2-spm"))).tokenizer;
    expect(planned.corpus.windows.map(({ tokens }) => tokens[0])).not.toContain(bos);
    const halves = await plan("llama2-spm", { rule: { context: 16, score: "half" } });
    expect(halves.positions).toEqual({ first: 8, count: 7 });
    expect(new Set(halves.corpus.windows.map(({ tokens }) => tokens[0]))).toEqual(new Set([bos]));
    expect((await evaluate(planned)).corpus).toMatchObject({ score: "all", tokens: 192, positions: 180 });
  });

  it("tells how far it is, and ends by its signal without leaving files", async () => {
    const save = { path: join(folder, "reference") };
    const events: EvaluationEvent[] = [];
    const planned = await plan("llama31-bpe", { save });
    await evaluate(planned, { onEvent: (event) => events.push(event) });
    expect(events.map(({ type }) => type).filter((type, index, all) => type !== all[index - 1])).toEqual([
      "start",
      "progress",
      "output:done",
      "done",
    ]);
    const progress = events.filter((event) => event.type === "progress");
    expect(progress).toHaveLength(12 * (planned.model.runnable.graph.blocks.length + 1));
    const done = progress.map((event) => event.done);
    expect(done).toEqual(done.toSorted((a, b) => a - b));
    expect(done.at(-1)).toBeCloseTo(progress[0]!.total, 3);
    expect(progress[0]!.place).toBe("checkpoint, block 1 of 3");

    const controller = new AbortController();
    const onEvent = ({ type }: EvaluationEvent): void => {
      if (type === "progress") controller.abort(new Error("enough"));
    };
    const again = await plan("llama31-bpe", { save: { ...save, path: join(folder, "other") } });
    await expect(evaluate(again, { signal: controller.signal, onEvent })).rejects.toThrow("enough");
    expect(await readdir(folder)).toEqual(["reference"]);
  });

  it.each([
    [
      "model.layers.1.mlp.down_proj.weight",
      "blk.1",
      /^llama2-spm-changed: blk\.1 makes NaN of token \d+ of window \d/,
    ],
    [
      "lm_head.weight",
      "output",
      /^llama2-spm-changed: the output layer makes logits that are not finite of token 16 of window 0/,
    ],
  ])("names what makes NaN: %s", async (tensor, key, message) => {
    const path = await changedCheckpoint("llama2-spm", (words, name) => {
      if (name === tensor) words.fill(0x7fc0, 0, 1);
    });
    const source = await openInput(path);
    const requests: Partial<EvaluationRequest>[] = [{ model: source }, { reference: source }];
    for (const request of requests) {
      const planned = await plan("llama2-spm", request);
      await expect(evaluate(planned)).rejects.toMatchObject({
        code: "ACTIVATION_NOT_FINITE",
        message: expect.stringMatching(message),
        subject: { key, file: "llama2-spm-changed" },
      });
    }
  });
});

describe("a saved reference", () => {
  const path = (): string => join(folder, "reference.safetensors");

  async function saveReference(name: string, likeliest: number): Promise<void> {
    await evaluate(await plan(name, { save: { path: path(), likeliest } }));
  }

  it("stands for the model: exactly with all tokens, within its bounds with some", async () => {
    const changed = await changedCheckpoint("llama31-bpe", rounded);
    const model = await openInput(changed);
    const exact = await evaluate(
      await plan("llama31-bpe", { model, reference: await openInput(checkpointPath("llama31-bpe")) }),
    );
    const vocabulary = exact.model.vocabularySize;
    for (const [likeliest, tolerance] of [
      [vocabulary + 1, 1e-6],
      [vocabulary >> 1, 1e-3],
      [1, 1],
    ] as const) {
      await rm(path(), { force: true });
      await saveReference("llama31-bpe", likeliest);
      const reference = await openReference(path());
      const found = await evaluate(await planEvaluation({ model, reference, threads: 0, tool: "test" }));
      await reference.close();
      expect({ ...found.corpus, tokenizer: "" }).toEqual({ ...exact.corpus, tokenizer: "" });
      expect(found.reference!.likeliest).toBe(Math.min(likeliest, vocabulary));
      const [mean, exactMean] = [found, exact].map(({ total }) => total.comparison!.divergence.mean.value);
      const [low, high] = found.total.comparison!.divergence.bounds!;
      expect(low).toBeLessThan(exactMean! + 1e-6);
      expect(high).toBeGreaterThan(exactMean! - 1e-6);
      expect(Math.abs(mean! - exactMean!)).toBeLessThan(tolerance);
      const { agreement, referencePerplexity, deltaP } = exact.total.comparison!;
      expect(found.total.comparison!.agreement.value).toBe(agreement.value);
      expect(found.total.comparison!.referencePerplexity.value / referencePerplexity.value).toBeCloseTo(1, 6);
      expect(found.total.comparison!.deltaP.rootMeanSquare.value).toBeCloseTo(deltaP.rootMeanSquare.value, 6);
    }
  });

  it("is the same file with any number of threads", async () => {
    await saveReference("llama31-bpe", 16);
    const bytes = await readFile(path());
    const planned = await plan("llama31-bpe", {
      save: { path: path(), likeliest: 16, force: true },
      threads: 2,
    });
    expect(planned.save).toMatchObject({ bytes: bytes.length, replaces: true });
    await evaluate(planned);
    expect((await readFile(path())).equals(bytes)).toBe(true);
    await expect(plan("llama31-bpe", { save: { path: path() } })).rejects.toMatchObject({
      code: "OUTPUT_EXISTS",
    });
  });

  it("is refused for other texts, other windows, and models with other tokens", async () => {
    await saveReference("llama31-bpe", 16);
    const reference = await openReference(path());
    const model = await openInput(checkpointPath("llama31-bpe"));
    const request = { model, reference, sources, rule, limit: 12, threads: 0, tool: "test", folder };
    const mismatch = { code: "EVALUATION_REFERENCE_MISMATCH" };
    await expect(planEvaluation(request)).resolves.toMatchObject({ reference: { kind: "saved" } });
    await expect(planEvaluation({ ...request, limit: 11 })).rejects.toMatchObject(mismatch);
    await expect(planEvaluation({ ...request, rule: { context: 64 } })).rejects.toMatchObject(mismatch);
    await expect(planEvaluation({ ...request, rule: { score: "all" } })).rejects.toMatchObject(mismatch);
    await expect(planEvaluation({ ...request, sources: sources.slice(1) })).rejects.toMatchObject(mismatch);
    const { sources: _, ...without } = request;
    await expect(planEvaluation(without)).rejects.toMatchObject(mismatch);
    const other = await openInput(checkpointPath("llama2-spm"));
    await expect(planEvaluation({ ...request, model: other })).rejects.toMatchObject({
      code: "EVALUATION_VOCABULARY_MISMATCH",
    });
    await reference.close();
  });
});

describe("planEvaluation", () => {
  it("refuses models that do not share their tokens", async () => {
    const reference = await openInput(checkpointPath("llama2-spm"));
    await expect(plan("llama31-bpe", { reference })).rejects.toMatchObject({
      code: "EVALUATION_VOCABULARY_MISMATCH",
      message: expect.stringContaining("tokens"),
    });
    const changed = join(folder, "changed");
    await cp(checkpointPath("llama31-bpe"), changed, { recursive: true });
    const file = join(changed, "tokenizer.json");
    const tokenizer = JSON.parse(await readFile(file, "utf8")) as {
      model: { vocab: Record<string, number> };
    };
    const { vocab } = tokenizer.model;
    [vocab["!"], vocab["#"]] = [vocab["#"]!, vocab["!"]!];
    await writeFile(file, JSON.stringify(tokenizer));
    await expect(plan("llama31-bpe", { reference: await openInput(changed) })).rejects.toMatchObject({
      code: "EVALUATION_VOCABULARY_MISMATCH",
      message: expect.stringMatching(/^checkpoint cannot be compared: token \d+ is "!", and .* it is "#"/),
    });
  });

  it("says when the tokenizers of two models disagree on the texts", async () => {
    const input = await openInput(checkpointPath("llama31-bpe"));
    const { tokenizer } = input;
    const other = {
      name: "other",
      vocabularySize: tokenizer.vocabularySize,
      bos: tokenizer.bos,
      eos: tokenizer.eos,
      prefix: tokenizer.prefix,
      suffix: tokenizer.suffix,
      encode: (part: string) => tokenizer.encode(part.toLowerCase(), "text"),
    };
    const { warnings } = await plan("llama31-bpe", { reference: { ...input, tokenizer: other } });
    expect(warnings.map(({ code }) => code)).toEqual(["EVALUATION_TOKENIZERS_DIFFER"]);
    expect((await plan("llama31-bpe", { reference: input })).warnings).toEqual([]);
  });

  it.each([
    ["gpt2", { rule: { context: 4096 } }, "EVALUATION_CONTEXT"],
    ["llama31-bpe", { memory: 1000 }, "EVALUATION_MEMORY"],
    ["llama31-bpe", { memory: -1 }, "EVALUATION_MEMORY"],
    ["llama31-bpe", { rule: { context: 3 } }, "EVALUATION_OPTION_INVALID"],
    ["llama31-bpe", { save: { path: "x", likeliest: 0 } }, "EVALUATION_OPTION_INVALID"],
    ["llama31-bpe", { threads: -1 }, "PLAN_THREADS"],
    ["llama31-bpe", { sources: [textNamed("empty.txt", "")] }, "CORPUS_EMPTY"],
    ["llama31-bpe", { sources: [textNamed("short.txt", "Too short.")] }, "CORPUS_TOO_SHORT"],
  ] as const)("refuses %s with %j: %s", async (name, request, code) => {
    await expect(plan(name, request)).rejects.toMatchObject({ code });
  });

  it("refuses an encoder", async () => {
    const source = await openModel(checkpointPath("bert"));
    const tokenizer = await checkpointTokenizer((source as Checkpoint).files);
    await expect(plan("llama31-bpe", { model: { source, tokenizer } })).rejects.toMatchObject({
      code: "EVALUATION_NO_LOGITS",
    });
  });

  it("says what it takes", async () => {
    const { memory, estimate } = await plan("llama31-bpe");
    expect(memory).toMatchObject({ spilled: 0, states: 12 * 32 * 128 * 4 });
    expect(estimate.seconds).toBeGreaterThan(0);
    expect(estimate.peakMemory).toBeGreaterThan(memory.used + memory.released);
    const budget = Math.floor(0.8 * memory.used);
    const little = await plan("llama31-bpe", { memory: budget });
    expect(little.memory.used).toBeLessThanOrEqual(budget);
    expect(little.memory.states).toBeLessThan(memory.states);
  });
});
