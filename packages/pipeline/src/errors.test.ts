// Errors of tensors against those of the written files, computed here from their definitions.
// @module-tag kernels
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openCheckpointDirectory } from "@quern/checkpoints/node";
import { kernelInfo, loadKernels } from "@quern/kernels";
import { type Importance, readImportance } from "@quern/statistics";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { convert } from "./conversion/convert.ts";
import { relativeError, type TensorError } from "./errors.ts";
import type { ConversionPlan, PlannedOutput, PlanParams } from "./plan.ts";
import { planConversion } from "./planning/plan-conversion.ts";
import { goldenPath } from "./testing/golden.ts";

const kernels = await loadKernels();
const backends = (await kernelInfo()).filter(({ isas }) => isas.length > 0);

/** Merged experts have an importance of their own each. */
const MODEL = "mixtral";
const OUTPUTS = [
  { type: "F32" },
  { type: "Q4_K_M" },
  { type: "Q4_0", pure: true },
  { type: "IQ4_XS" },
  { type: "F16", flavour: "quantizer" },
] as const;

let folder: string;
let importance: Importance;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "errors-"));
  importance = await readImportance(goldenPath(MODEL, "imatrix.gguf"));
});
afterAll(() => rm(folder, { recursive: true }));

async function run(more: Partial<PlanParams>): Promise<{ plan: ConversionPlan; errors: TensorError[][] }> {
  const plan = await planConversion({
    checkpoint: await openCheckpointDirectory(goldenPath(MODEL, "checkpoint")),
    importance,
    outputs: OUTPUTS.map((output) => ({ ...output, path: join(folder, `${output.type}.gguf`) })),
    measureErrors: true,
    force: true,
    ...more,
  });
  const report = await convert(plan);
  return { plan, errors: report.outputs.map(({ errors }) => [...(errors ?? [])]) };
}

/** The tensors of an output as its file has them. */
async function readTensors({ files, tensors }: PlannedOutput) {
  const bytes = await readFile(files[0]!.path);
  return new Map(
    tensors.map(({ name, type, ne, offset, size }) => {
      const columns = ne[0]!;
      const rows = ne.slice(1).reduce((product, length) => product * length, 1);
      const source = new Uint8Array(bytes.subarray(offset, offset + size));
      const weights = new Float32Array(rows * columns);
      kernels.dequantize({ type, source, target: weights, rows, columns });
      return [name, { type, columns, matrix: columns * (ne[1] ?? 1), source, weights }] as const;
    }),
  );
}

/** `expected` to 6 digits: sums of rows are in single precision. */
function expectClose(actual: number, expected: number): void {
  expect(Math.abs(actual - expected)).toBeLessThanOrEqual(Math.abs(expected) * 1e-6);
}

describe("errors of tensors", () => {
  it("are those of the files", async () => {
    const { plan, errors } = await run({});
    const [exact, ...others] = await Promise.all(plan.outputs.map(readTensors));
    expect(errors[0]).toEqual([]);
    for (const [index, tensors] of others.entries()) {
      const measured = errors[index + 1]!;
      const changed = [...tensors].filter(([name, { type }]) => type !== exact!.get(name)!.type);
      expect(measured.map(({ name }) => name)).toEqual(
        changed.filter(([, { type }]) => type !== "BF16").map(([name]) => name),
      );
      for (const error of measured) {
        const { weights, matrix } = exact!.get(error.name)!;
        const after = tensors.get(error.name)!;
        expect(error).toMatchObject({ from: "BF16", to: after.type, requantized: false });
        expect(error.elements).toBe(weights.length);
        const difference = weights.map((weight, i) => weight - after.weights[i]!);
        const sum = (term: (i: number) => number) => weights.reduce((total, _, i) => total + term(i), 0);
        const exactDifference = (i: number) => weights[i]! - after.weights[i]!;
        expectClose(
          error.squaredErrors,
          sum((i) => exactDifference(i) ** 2),
        );
        expectClose(
          error.squaredWeights,
          sum((i) => weights[i]! ** 2),
        );
        expect(error.largestError).toBe(
          difference.reduce((most, value) => Math.max(most, Math.abs(value)), 0),
        );
        const count = importance.lengths.get(error.name);
        const isBlock = after.type !== "F16";
        expect(error.weighted !== undefined).toBe(count !== undefined && isBlock);
        if (error.weighted === undefined) continue;
        const factors = await importance.readWeights(error.name, { start: 0, count: count! });
        const factor = (i: number) => factors[Math.floor(i / matrix) * after.columns + (i % after.columns)]!;
        expectClose(
          error.weighted.squaredErrors,
          sum((i) => factor(i) * exactDifference(i) ** 2),
        );
        expectClose(
          error.weighted.squaredWeights,
          sum((i) => factor(i) * weights[i]! ** 2),
        );
      }
    }
  });

  it("count the weights that Q4_0 clips: beyond 8.5 steps below, 7.5 above", async () => {
    const { plan, errors } = await run({
      outputs: [{ type: "F32" }, OUTPUTS[2]].map((output) => ({
        ...output,
        path: join(folder, `only-${output.type}.gguf`),
      })),
    });
    const [exact, four] = await Promise.all(plan.outputs.map(readTensors));
    let all = 0;
    for (const { name, clipped, groups, elements } of errors[1]!) {
      const { source, type } = four!.get(name)!;
      if (type !== "Q4_0") continue;
      const half = new Float32Array(1);
      let expected = 0;
      for (const [i, weight] of exact!.get(name)!.weights.entries()) {
        const block = Math.floor(i / 32) * 18;
        kernels.dequantize({
          type: "F16",
          source: source.slice(block, block + 2),
          target: half,
          rows: 1,
          columns: 1,
        });
        const code = weight / half[0]!;
        if (code < -8.5 || code > 7.5) expected++;
      }
      expect(clipped).toBe(expected);
      expect(groups).toBe(elements / 32);
      all += expected;
    }
    expect(all).toBeGreaterThan(0);
  });

  it("are the same for any threads, memory and kernels", async () => {
    const { errors: expected } = await run({ threads: 0 });
    for (const more of [
      { threads: 2 },
      { threads: 1, memory: 40_000 },
      { threads: 2, memory: 200_000 },
      ...backends.map(({ backend }) => ({ backend })),
    ]) {
      expect((await run(more)).errors).toEqual(expected);
    }
  });

  it("are not measured unless asked for", async () => {
    const { errors } = await run({ measureErrors: false });
    expect(errors).toEqual(OUTPUTS.map(() => []));
  });
});

describe("relativeError", () => {
  it("is the root of the ratio of sums, and 0 for zeros", () => {
    expect(
      relativeError([
        { squaredErrors: 1, squaredWeights: 10 },
        { squaredErrors: 3, squaredWeights: 90 },
      ]),
    ).toBe(0.2);
    expect(relativeError([{ squaredErrors: 0, squaredWeights: 0 }])).toBe(0);
  });
});

it("checks the places of companions with those of the outputs", async () => {
  const taken = join(folder, "F32.gguf");
  await expect(
    run({
      force: false,
      companions: [join(folder, "report.html")],
      outputs: [{ type: "Q8_0", path: join(folder, "new.gguf") }],
    }),
  ).resolves.toBeDefined();
  for (const [companions, code] of [
    [[taken], "OUTPUT_EXISTS"],
    [[join(folder, "same"), join(folder, "same")], "OUTPUT_DUPLICATE"],
    [[join(taken, "report.html")], "OUTPUT_NOT_WRITABLE"],
  ] as const) {
    const outputs = [{ type: "Q8_0", path: join(folder, `${code}.gguf`) }];
    await expect(run({ force: false, companions, outputs })).rejects.toMatchObject({ code });
  }
});
