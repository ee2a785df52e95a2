import {
  cp,
  link,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  truncate,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  blockValues,
  SAMPLE_INPUTS,
  sampleDescription,
  writeBlocks,
  writeSampleStatistics,
} from "../testing/statistics.ts";
import type { StatisticsDescription } from "./description.ts";
import { entriesOf, tensorOf } from "./entries.ts";
import { openStatistics } from "./open-statistics.ts";
import { packedLength } from "./packed-triangle.ts";
import { planStatistics } from "./plan.ts";
import { findStatisticsProgress } from "./journal.ts";
import { createStatisticsWriter, type StatisticsWriter } from "./writer.ts";

const plan = planStatistics(sampleDescription());
const BLOCKS = plan.blocks;

let folder: string;
let path: string;
let whole: Buffer;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "statistics-"));
  path = join(folder, "stats.safetensors");
  whole = await readFile(await writeSampleStatistics(join(folder, "whole")));
  await rm(join(folder, "whole"));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

/** Leaves a file with its first blocks complete. */
async function interrupted(changes: Partial<StatisticsDescription> = {}, blocks = 1): Promise<void> {
  const writer = await createStatisticsWriter({ plan: planStatistics(sampleDescription(changes)), path });
  for (const block of BLOCKS.slice(0, blocks)) {
    for (const values of blockValues(SAMPLE_INPUTS, block)) await writer.write(values);
    await writer.completeBlock(block);
  }
  await writer.close();
}

/** What a crash may leave of a block that was not complete. */
async function spoilBlock(partial: string, block: number): Promise<void> {
  const file = await open(partial, "r+");
  for (const input of SAMPLE_INPUTS.filter((input) => input.block === block)) {
    for (const entry of entriesOf(input)) {
      const { offset, size } = plan.layout.tensors.get(tensorOf(input, entry).name)!;
      await file.write(Buffer.alloc(size, 0xfb), 0, size, offset);
    }
  }
  await file.close();
}

async function finished(writer: StatisticsWriter): Promise<Buffer> {
  await writeBlocks(writer);
  await writer.finish();
  expect(await readdir(folder)).toEqual(["stats.safetensors"]);
  return readFile(path);
}

describe("a run that is not interrupted", () => {
  it("writes the size that was planned, and nothing under the final name before the end", async () => {
    const writer = await createStatisticsWriter({ plan, path });
    await writeBlocks(writer);
    expect((await readdir(folder)).sort()).toEqual([
      "stats.safetensors.partial",
      "stats.safetensors.partial.journal",
    ]);
    await expect(openStatistics(`${path}.partial`)).rejects.toMatchObject({ code: "SAFETENSORS_BAD_HEADER" });
    await writer.finish();
    expect(await readdir(folder)).toEqual(["stats.safetensors"]);
    expect((await readFile(path)).byteLength).toBe(plan.fileSize);
  });

  it("writes the same bytes in pieces, in another order", async () => {
    const writer = await createStatisticsWriter({ plan, path });
    for (const block of [...BLOCKS].reverse()) {
      for (const { input: name, entry, values } of blockValues(SAMPLE_INPUTS, block).reverse()) {
        const input = SAMPLE_INPUTS.find((input) => input.name === name)!;
        const perMatrix = values.length / input.matrices;
        for (let matrix = input.matrices - 1; matrix >= 0; matrix--) {
          const step = Math.max(1, Math.ceil(perMatrix / 3));
          for (let start = 0; start < perMatrix; start += step) {
            const from = matrix * perMatrix + start;
            const piece = Float32Array.from(values.slice(from, from + Math.min(step, perMatrix - start)));
            await writer.write({ input: name, entry, matrix, start, values: piece });
          }
        }
      }
      await writer.completeBlock(block);
    }
    await writer.finish();
    expect(whole.equals(await readFile(path))).toBe(true);
  });

  it("leaves hold-out rows that are not written at zero", async () => {
    const writer = await createStatisticsWriter({ plan, path });
    for (const values of BLOCKS.flatMap((block) => blockValues(SAMPLE_INPUTS, block))) {
      if (values.entry !== "holdOutRows") await writer.write(values);
      else if (values.input === "blk.0.attn_q") {
        await writer.write({ ...values, values: values.values.slice(0, 10) });
      }
    }
    for (const block of BLOCKS) await writer.completeBlock(block);
    await writer.finish();
    const statistics = await openStatistics(path);
    const { rows, rowCount } = await statistics.readHoldOut("blk.1.ffn_up_exps", 1);
    expect([...rows]).toEqual(Array.from({ length: rowCount * 4 }, () => 0));
    await statistics.close();
  });

  it("writes large values piece by piece", async () => {
    const columns = 1200;
    const { windows: _whole, ...sample } = SAMPLE_INPUTS[0]!;
    const large = { ...sample, columns, holdOutRows: 0 };
    const inputs = [large];
    const writer = await createStatisticsWriter({
      plan: planStatistics(sampleDescription({ inputs })),
      path,
    });
    const triangle = Float32Array.from({ length: packedLength(columns) }, (_, index) => index % 8191);
    for (const values of blockValues(inputs, 0)) {
      if (values.entry !== "hessian") await writer.write(values);
    }
    const half = packedLength(600);
    await writer.write({
      input: large.name,
      entry: "hessian",
      start: half,
      values: triangle.subarray(half),
    });
    await expect(writer.completeBlock(0)).rejects.toMatchObject({
      code: "STATISTICS_INCOMPLETE",
      subject: { tensor: "blk.0.attn_q.hessian", offset: 0 },
    });
    await writer.write({ input: large.name, entry: "hessian", values: triangle.subarray(0, half) });
    await writer.completeBlock(0);
    await writer.finish();
    const statistics = await openStatistics(path);
    const rows = await statistics.readHessianRows({ module: large.name, start: 0, count: columns });
    expect(Buffer.from(rows.buffer).equals(Buffer.from(triangle.buffer))).toBe(true);
    await statistics.close();
  });
});

describe("a run that goes on", () => {
  it("ends with the same bytes wherever the first was interrupted", async () => {
    const steps = BLOCKS.flatMap((block) => [
      ...blockValues(SAMPLE_INPUTS, block).map((values) => ({ block, values })),
      { block, values: undefined },
    ]);
    const first = join(folder, "first");
    await mkdir(first);
    const writer = await createStatisticsWriter({ plan, path: join(first, "stats.safetensors") });
    for (const { block, values } of steps) {
      if (values === undefined) await writer.completeBlock(block);
      else await writer.write(values);
      // What is on the disk now, and garbage where nothing is promised.
      const crashed = join(folder, "crashed");
      await cp(first, crashed, { recursive: true });
      const target = join(crashed, "stats.safetensors");
      for (const other of BLOCKS.filter((other) => !writer.completed.has(other))) {
        await spoilBlock(`${target}.partial`, other);
      }
      const next = await createStatisticsWriter({ plan, path: target });
      expect([...next.completed]).toEqual([...writer.completed]);
      await writeBlocks(next);
      await next.finish();
      expect(whole.equals(await readFile(target))).toBe(true);
      expect(await readdir(crashed)).toEqual(["stats.safetensors"]);
      await rm(crashed, { recursive: true });
    }
    await writer.abandon();
    expect(await readdir(first)).toEqual([]);
    await rm(first, { recursive: true });
  });

  it("can be interrupted again", async () => {
    await interrupted();
    for (const blocks of [1, 2]) {
      const writer = await createStatisticsWriter({ plan, path });
      expect(writer.completed.size).toBe(blocks);
      for (const values of blockValues(SAMPLE_INPUTS, BLOCKS[blocks]!)) await writer.write(values);
      await writer.completeBlock(BLOCKS[blocks]!);
      await writer.close();
    }
    const writer = await createStatisticsWriter({ plan, path });
    await writer.finish();
    expect(whole.equals(await readFile(path))).toBe(true);
  });

  it("writes nothing to blocks that are complete", async () => {
    await interrupted();
    const writer = await createStatisticsWriter({ plan, path });
    await expect(writer.write(blockValues(SAMPLE_INPUTS, 0)[0]!)).rejects.toMatchObject({
      code: "STATISTICS_WRITE_INVALID",
      subject: { tensor: "blk.0.attn_q.tokens" },
    });
    await writer.close();
  });

  it.each([
    ["the final name", async () => rename(`${path}.partial`, path)],
    ["both names", async () => link(`${path}.partial`, path)],
  ])("is finished where the file has %s, and the journal is there", async (_what, name) => {
    await interrupted({}, BLOCKS.length);
    const partial = await open(`${path}.partial`, "r+");
    await partial.write(plan.layout.header, 0, plan.layout.header.byteLength, 0);
    await partial.close();
    expect(await findStatisticsProgress({ plan, path })).toMatchObject({ isPlaced: false });
    await name();
    expect(await findStatisticsProgress({ plan, path })).toMatchObject({ isPlaced: true });
    const writer = await createStatisticsWriter({ plan, path });
    expect([...writer.completed]).toEqual(BLOCKS);
    await writer.finish();
    expect(await readdir(folder)).toEqual(["stats.safetensors"]);
    expect((await readFile(path)).equals(whole)).toBe(true);
    // A finished file is nobody's to go on with.
    await expect(createStatisticsWriter({ plan, path })).rejects.toMatchObject({ code: "OUTPUT_EXISTS" });
  });

  it("does not stumble over what is left without a journal, or of a journal alone", async () => {
    await interrupted();
    await rm(`${path}.partial.journal`);
    const writer = await createStatisticsWriter({ plan, path });
    expect(writer.completed.size).toBe(0);
    await writer.close();
    expect(await readdir(folder)).toEqual([]);
    await interrupted({ tool: "quern 9" });
    await rm(`${path}.partial`);
    expect(whole.equals(await finished(await createStatisticsWriter({ plan, path })))).toBe(true);
  });

  const { model, corpus } = sampleDescription();
  const others: [string, Partial<StatisticsDescription>][] = [
    ["model", { model: { ...model, identity: "0" } }],
    ["text", { corpus: { ...corpus, calibration: { ...corpus.calibration, hash: "other" } } }],
    ["options", { options: { seed: 2 } }],
    ["tool", { tool: "quern 9" }],
    ["layout", { inputs: SAMPLE_INPUTS.map((input) => ({ ...input, hessian: false })) }],
  ];
  it.each(others)("refuses what a run with another %s left, unless forced", async (key, changes) => {
    await interrupted();
    const other = planStatistics(sampleDescription(changes));
    await expect(createStatisticsWriter({ plan: other, path })).rejects.toMatchObject({
      code: "STATISTICS_OTHER_RUN",
      subject: { file: `${path}.partial`, key },
    });
    const again = await createStatisticsWriter({ plan, path });
    expect(again.completed.size).toBe(1);
    await again.close();
    const forced = await createStatisticsWriter({ plan: other, path, force: true });
    expect(forced.completed.size).toBe(0);
    await forced.close();
    expect(await readdir(folder)).toEqual([]);
  });

  it.each([
    ["is not JSON", "{", ""],
    ["is no object", "[]", ""],
    ["is of another format", '{"format":"other","version":1}', ""],
    ["lacks the run", '{"format":"quern-statistics-journal","version":1}', ""],
    ["has a line that is not JSON", "", "{"],
    ["has a line that names no block", "", '{"completed":-1}'],
  ])("refuses a journal that %s", async (_, first, last) => {
    await interrupted();
    const lines = (await readFile(`${path}.partial.journal`, "utf8")).split("\n");
    if (first !== "") lines[0] = first;
    if (last !== "") lines.splice(-1, 0, last);
    await writeFile(`${path}.partial.journal`, lines.join("\n"));
    await expect(createStatisticsWriter({ plan, path })).rejects.toMatchObject({
      code: "STATISTICS_JOURNAL_INVALID",
      subject: { file: `${path}.partial.journal` },
    });
    const writer = await createStatisticsWriter({ plan, path, restart: true });
    expect(writer.completed.size).toBe(0);
    await writer.close();
  });

  it("begins anew where the last run ended before the file had its size", async () => {
    await interrupted();
    const [begun] = (await readFile(`${path}.partial.journal`, "utf8")).split("\n");
    await writeFile(`${path}.partial.journal`, `${begun}\n`);
    await truncate(`${path}.partial`, 0);
    const again = await createStatisticsWriter({ plan, path });
    expect(again.completed.size).toBe(0);
    expect((await stat(`${path}.partial`)).size).toBe(plan.fileSize);
    await again.close();
  });

  it("refuses a journal with a strange block, and a file of another size", async () => {
    await interrupted();
    const journal = await readFile(`${path}.partial.journal`, "utf8");
    await writeFile(`${path}.partial.journal`, `${journal}{"completed":7}\n`);
    const refusal = { code: "STATISTICS_JOURNAL_INVALID" };
    await expect(createStatisticsWriter({ plan, path })).rejects.toMatchObject(refusal);
    await writeFile(`${path}.partial.journal`, journal);
    await truncate(`${path}.partial`, plan.fileSize - 1);
    await expect(createStatisticsWriter({ plan, path })).rejects.toMatchObject(refusal);
  });
});

describe("what is refused", () => {
  it("a name that is taken, unless forced", async () => {
    await writeFile(path, "old");
    await expect(createStatisticsWriter({ plan, path })).rejects.toMatchObject({ code: "OUTPUT_EXISTS" });
    const writer = await createStatisticsWriter({ plan, path, force: true });
    expect(await readFile(path, "utf8")).toBe("old");
    expect(whole.equals(await finished(writer))).toBe(true);
  });

  it("a file that another run has taken away", async () => {
    const writer = await createStatisticsWriter({ plan, path });
    await rm(`${path}.partial`);
    await writeFile(`${path}.partial`, "another");
    for (const values of blockValues(SAMPLE_INPUTS, 0)) await writer.write(values);
    await expect(writer.completeBlock(0)).rejects.toMatchObject({ code: "OUTPUT_REPLACED" });
    await writer.abandon();
    expect(await readFile(`${path}.partial`, "utf8")).toBe("another");
  });

  it("values without a place, given twice, or that cannot be", async () => {
    const writer = await createStatisticsWriter({ plan, path });
    const at = { input: "blk.1.ffn_gate_exps", entry: "sumSquares" } as const;
    const misplaced = { code: "STATISTICS_WRITE_INVALID" };
    await expect(writer.write({ ...at, input: "blk.1.ffn_up_exps", values: [] })).rejects.toMatchObject(
      misplaced,
    );
    const noHessian = { input: "output", entry: "hessian", values: [1] } as const;
    await expect(writer.write(noHessian)).rejects.toMatchObject(misplaced);
    await expect(writer.write({ ...at, matrix: 2, start: 2, values: [1, 2, 3] })).rejects.toMatchObject(
      misplaced,
    );
    await expect(writer.write({ ...at, start: -1, values: [1] })).rejects.toMatchObject(misplaced);
    await expect(writer.write({ ...at, start: 0.5, values: [1] })).rejects.toMatchObject(misplaced);
    await writer.write({ ...at, matrix: 1, values: [1, 2] });
    await expect(writer.write({ ...at, matrix: 1, start: 1, values: [2] })).rejects.toMatchObject(misplaced);
    await expect(writer.completeBlock(5)).rejects.toMatchObject(misplaced);
    for (const value of [Number.NaN, Infinity, -1, 1e39]) {
      await expect(writer.write({ ...at, start: 1, values: [value] })).rejects.toMatchObject({
        code: "STATISTICS_VALUE_INVALID",
        subject: { tensor: "blk.1.ffn_gate_exps.sum_squares", offset: 1 },
      });
    }
    const fraction = { ...at, entry: "tokens", values: [0.5] } as const;
    await expect(writer.write(fraction)).rejects.toMatchObject({ code: "STATISTICS_VALUE_INVALID" });
    await writer.abandon();
  });

  it("an end before all blocks are complete, and anything after the end", async () => {
    const writer = await createStatisticsWriter({ plan, path });
    await expect(writer.finish()).rejects.toMatchObject({ code: "STATISTICS_INCOMPLETE" });
    await finished(writer);
    const closed = { code: "STATISTICS_WRITE_INVALID" };
    await expect(writer.finish()).rejects.toMatchObject(closed);
    await expect(writer.completeBlock(0)).rejects.toMatchObject(closed);
    await expect(writer.write({ input: "output", entry: "sum", values: [] })).rejects.toMatchObject(closed);
    await writer.close();
    await writer.abandon();
    expect(await readdir(folder)).toEqual(["stats.safetensors"]);
  });

  const [first] = SAMPLE_INPUTS;
  it.each([
    ["columns of 0", [{ ...first!, columns: 0 }]],
    ["parts of matrices", [{ ...first!, matrices: 1.5 }]],
    ["one name twice", [first!, first!]],
    ["a module with two inputs", [first!, { ...first!, name: "b", modules: ["blk.0.attn_k"] }]],
    ["a module that stands there twice", [{ ...first!, modules: ["blk.0.attn_q", "blk.0.attn_q"] }]],
    ["no module", [{ ...first!, modules: [] }]],
    ["windows without tokens", [{ ...first!, windows: { rows: 0, starts: [0] } }]],
    ["windows of which nothing was kept apart", [{ ...first!, holdOutRows: 0 }]],
    ["windows of stacked matrices", [{ ...first!, matrices: 2 }]],
    ["windows without a beginning", [{ ...first!, windows: { rows: 7, starts: [1] } }]],
    ["windows of sequences in disorder", [{ ...first!, windows: { rows: 7, starts: [0, 4, 4] } }]],
    ["windows that begin behind their end", [{ ...first!, windows: { rows: 7, starts: [0, 7] } }]],
  ])("a plan with %s", (_, inputs) => {
    expect(() => planStatistics(sampleDescription({ inputs }))).toThrow(
      expect.objectContaining({ code: "STATISTICS_PLAN_INVALID" }) as Error,
    );
  });
});
