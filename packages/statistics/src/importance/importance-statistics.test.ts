import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { imatrixPath, writeSample } from "../testing/importance.ts";
import { importanceStatistics, layerStatistics } from "./importance-statistics.ts";
import { openImportanceFile } from "./open-importance-file.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "statistics-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** Numbers of the lines that begin with a block; the second column of the larger table is a name. */
async function printedRows(name: string): Promise<string[][]> {
  const text = await readFile(imatrixPath(`statistics/${name}.txt`), "utf8");
  return text
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([first, , , more]) => /^(\d+|-)$/.test(first!) && more !== undefined);
}

/** What is printed is rounded: half a unit of the last digit apart at most. Per cent are floats too. */
function expectPrinted(printed: string | undefined, value: number): void {
  const digits = printed!.replace("%", "").split(".")[1]?.length ?? 0;
  expect(Math.abs(Number.parseFloat(printed!) - value)).toBeLessThanOrEqual(0.5000001 * 10 ** -digits);
}

describe.each(["a.gguf", "b.gguf", "c.dat", "single.gguf"])("%s", (name) => {
  it("has the figures of llama-imatrix --show-statistics", async () => {
    const statistics = await importanceStatistics(await openImportanceFile({ path: imatrixPath(name) }));
    const layers = layerStatistics(statistics);
    const rows = await printedRows(name);
    expect(rows.length).toBe(statistics.length + layers.length);
    for (const [index, one] of statistics.entries()) {
      const [layer, kind, ...figures] = rows[index]!;
      expect([layer, kind]).toEqual([String(one.layer ?? "-"), one.kind]);
      const ours = [
        one.total,
        one.min,
        one.max,
        one.mean,
        one.deviation,
        Math.fround(100 * one.active),
        one.elements,
        one.entropy,
        Math.fround(100 * one.normalizedEntropy),
        Math.fround(100 * one.zScoreDensity),
        one.cosineSimilarity ?? 0,
      ];
      expect(figures.length).toBe(ours.length);
      for (const [column, value] of ours.entries()) expectPrinted(figures[column], value);
    }
    for (const [index, { layer, total, zScoreDensity, cosineSimilarity }] of layers.entries()) {
      const [number, ...figures] = rows[statistics.length + index]!;
      expect(number).toBe(String(layer));
      for (const [column, value] of [total, Math.fround(100 * zScoreDensity), cosineSimilarity].entries()) {
        expectPrinted(figures[column], value);
      }
    }
  });
});

it("compares only tensors of one size, and no zeros", async () => {
  const path = await writeSample(join(folder, "a.gguf"), {
    "blk.0.a.weight": { sums: [1, 2], counts: [1] },
    "blk.1.a.weight": { sums: [1, 2, 3], counts: [1] },
    "blk.2.a.weight": { sums: [0, 0, 0], counts: [1] },
    "blk.3.a.weight": { sums: [2, 4, 6], counts: [0] },
    "blk.4.a.weight": { sums: [3], counts: [1] },
  });
  const statistics = await importanceStatistics(await openImportanceFile({ path }));
  expect(statistics.map(({ layer, cosineSimilarity }) => [layer, cosineSimilarity])).toEqual(
    [
      [1, undefined],
      [0, undefined],
      [4, undefined],
      [2, undefined],
    ].sort(([a], [b]) => totals[b!]! - totals[a!]!),
  );
  expect(statistics.find(({ layer }) => layer === 4)?.normalizedEntropy).toBeNaN();
});

/** Totals by block, by which tensors of a kind are ordered. */
const totals: Readonly<Record<number, number>> = { 0: 3, 1: 6, 2: 0, 4: 3 };
