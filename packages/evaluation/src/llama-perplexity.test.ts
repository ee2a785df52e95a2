// @module-tag kernels

import { readFileSync } from "node:fs";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { EvaluationInput } from "./planning/evaluation-plan.ts";
import { planEvaluation } from "./planning/plan-evaluation.ts";
import { evaluate } from "./running/evaluate.ts";
import {
  checkpointPath,
  fixtureText,
  openInput,
  repositoryPath,
  textNamed,
} from "./testing/golden-evaluation.ts";

/** What llama-perplexity found; see fixtures/evaluation/README.md. */
interface RecordedPerplexity {
  readonly checkpoint: string;
  readonly context: number;
  readonly chunks: number;
  readonly perplexity: number;
  readonly error: number;
  /** Of all windows up to each. */
  readonly running: readonly number[];
}

const { perplexities } = JSON.parse(
  readFileSync(repositoryPath("fixtures/evaluation/llama-perplexity.json"), "utf8"),
) as { perplexities: readonly RecordedPerplexity[] };

/**
 * Models that ggml computes with less than single precision, whatever the file: GELU by a table of half precision, MXFP4 with
 * activations of eight bits.
 */
const COARSE: Readonly<Record<string, number>> = { "gpt-oss": 0.02 };

/** GGUF files of Gemma cannot say that queries are scaled by anything but the size of a head: the checkpoints of the fixtures can. */
const HEAD_SIZES: Readonly<Record<string, number>> = { gemma2: 48, gemma3: 32 };

/** A checkpoint as its GGUF file is computed. */
async function openAsConverted(checkpoint: string): Promise<EvaluationInput> {
  const path = checkpointPath(checkpoint);
  const headSize = HEAD_SIZES[checkpoint];
  if (headSize === undefined) return openInput(path);
  const copy = join(folder, checkpoint);
  await cp(path, copy, { recursive: true });
  const file = join(copy, "config.json");
  const config = JSON.parse(await readFile(file, "utf8")) as object;
  expect(config).toMatchObject({ head_dim: headSize });
  await writeFile(file, JSON.stringify({ ...config, query_pre_attn_scalar: headSize }));
  return openInput(copy);
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "llama-perplexity-"));
});
afterAll(() => rm(folder, { recursive: true }));

const text = await fixtureText();

/** Windows that are enough to tell conventions apart. */
const WINDOWS = 8;

describe("the perplexity of llama-perplexity", () => {
  it.each(perplexities.map((recorded) => [recorded.checkpoint, recorded.context, recorded] as const))(
    "%s, windows of %i",
    async (checkpoint, context, { running, chunks }) => {
      const request = {
        model: await openAsConverted(checkpoint),
        sources: [textNamed("text.txt", text)],
        rule: { context, score: "half" },
        threads: 0,
        tool: "test",
      } as const;
      const all = await planEvaluation(request);
      expect(all.corpus.windows).toHaveLength(chunks);
      const { total } = await evaluate(await planEvaluation({ ...request, limit: WINDOWS }));
      const expected = running[WINDOWS - 1]!;
      expect(Math.abs(total.perplexity.value / expected - 1)).toBeLessThan(COARSE[checkpoint] ?? 2e-4);
    },
  );

  it("and its error, over a whole text", async () => {
    const { context, perplexity, error } = perplexities.find(
      (recorded) => recorded.checkpoint === "demo" && recorded.context === 256,
    )!;
    const plan = await planEvaluation({
      model: await openInput(checkpointPath("demo")),
      sources: [textNamed("text.txt", text)],
      rule: { context },
      threads: 0,
      tool: "test",
    });
    const { total } = await evaluate(plan);
    expect(total.perplexity.value / perplexity).toBeCloseTo(1, 5);
    expect(total.perplexity.error / error).toBeCloseTo(1, 4);
  });
});
