// @module-tag kernels

import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openCheckpointDirectory } from "@quern/checkpoints/node";
import { kernelInfo } from "@quern/kernels";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { convert } from "./conversion/convert.ts";
import { planSlabs } from "./conversion/plan-slabs.ts";
import { readImportance } from "@quern/statistics";
import type { PlanParams } from "./plan.ts";
import { planConversion } from "./planning/plan-conversion.ts";
import { goldenPath } from "./testing/golden.ts";

/** Merged experts and types of 256 columns; rearranged heads; transposed matrices. */
const MODELS = ["mixtral", "llama2-spm", "gpt2"];
const TYPES = ["Q4_K_M", "Q8_0", "BF16"];

const backends = (await kernelInfo()).filter(({ isas }) => isas.length > 0);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "determinism-"));
});
afterAll(() => rm(folder, { recursive: true }));

let runs = 0;

/** Converts a golden checkpoint, and gives the hashes of the files by type. */
async function run(
  model: string,
  types: readonly string[],
  more: Partial<PlanParams>,
): Promise<Record<string, string>> {
  runs++;
  const plan = await planConversion({
    checkpoint: await openCheckpointDirectory(goldenPath(model, "checkpoint")),
    importance: await readImportance(goldenPath(model, "imatrix.gguf")),
    outputs: types.map((type) => ({ type, path: join(folder, `${model}-${type}-${runs}.gguf`) })),
    ...more,
  });
  await convert(plan);
  const hashes: Record<string, string> = {};
  for (const { type, files } of plan.outputs) {
    hashes[type] = createHash("sha256")
      .update(await readFile(files[0]!.path))
      .digest("hex");
  }
  return hashes;
}

describe.each(MODELS)("the same bytes: %s", (model) => {
  let expected: Record<string, string>;
  beforeAll(async () => {
    expected = await run(model, TYPES, { threads: 0 });
  });

  it("but not of different types", () => {
    expect(new Set(Object.values(expected)).size).toBe(TYPES.length);
  });

  it.each([1, 2, 3])("with %i threads", async (threads) => {
    expect(await run(model, TYPES, { threads })).toEqual(expected);
  });

  // One byte: a row at a time.
  it.each([
    { memory: 1, threads: 0 },
    { memory: 20_000, threads: 2 },
    { memory: 200_000, threads: 0 },
  ])("in $memory bytes of memory with $threads threads", async (resources) => {
    expect(await run(model, TYPES, resources)).toEqual(expected);
  });

  it("for several outputs at once and one at a time", async () => {
    for (const type of TYPES) {
      expect(await run(model, [type], { threads: 0 })).toEqual({ [type]: expected[type] });
    }
  });

  // Without a C compiler there are only Wasm kernels.
  it.each(backends)("with $backend kernels", async ({ backend }) => {
    expect(await run(model, TYPES, { threads: 0, backend })).toEqual(expected);
  });
});

describe("planSlabs", () => {
  it("covers every row once, whatever the memory", async () => {
    const checkpoint = await openCheckpointDirectory(goldenPath("mixtral", "checkpoint"));
    const outputs = [{ type: "Q4_K_M", path: join(folder, "unwritten.gguf") }];
    for (const memory of [1, 30_000, 2 ** 30]) {
      const plan = await planConversion({ checkpoint, outputs, threads: 2, memory });
      const next = new Map<number, number>();
      const { slabs, count } = planSlabs(plan);
      let seen = 0;
      for await (const { tensor, firstRow, rows } of slabs) {
        expect(firstRow).toBe(next.get(tensor) ?? 0);
        next.set(tensor, firstRow + rows);
        seen++;
      }
      expect(seen).toBe(count);
      for (const [index, { shape }] of plan.tensors.entries()) {
        expect(next.get(index)).toBe(shape.slice(0, -1).reduce((a, b) => a * b, 1));
      }
    }
  });
});
