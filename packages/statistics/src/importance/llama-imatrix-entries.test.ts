import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openModel } from "@quern/checkpoints/node";
import {
  describeSource,
  forwardModel,
  type LinearInputs,
  linearInputs,
  outputInputs,
  planForward,
} from "@quern/models";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openStatistics } from "../statistics-file/open-statistics.ts";
import { goldenPath } from "../testing/golden-path.ts";
import { imatrixPath } from "../testing/importance.ts";
import { writeSampleStatistics } from "../testing/statistics.ts";
import { statisticsAsImportance } from "./statistics-view.ts";

/** For each model the entries of the file that llama-imatrix wrote: name, sums, counts. */
type Entries = Readonly<Record<string, readonly (readonly [string, number, number])[]>>;
const expected = JSON.parse(await readFile(imatrixPath("entries.json"), "utf8")) as Entries;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "statistics-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** What the linear layers of a model read, block by block, the output layer last. */
async function inputsOf(model: string): Promise<LinearInputs[][]> {
  const checkpoint = await openModel(goldenPath(model, "checkpoint"));
  const { blocks, output } = planForward(forwardModel(await describeSource(checkpoint)));
  return [...blocks.map(linearInputs), [outputInputs(output)!]];
}

it.each(Object.entries(expected))(
  "statistics of %s make the entries of llama-imatrix",
  async (model, entries) => {
    const blocks = await inputsOf(model);
    const inputs = blocks.flatMap((inputs, block) => {
      return inputs.map((input) => ({ ...input, block, hessian: false, holdOutRows: 0 }));
    });
    const statistics = await openStatistics(await writeSampleStatistics(join(folder, model), { inputs }));
    const output = entries.some(([name]) => name === "output.weight");
    const importance = statisticsAsImportance(statistics, { output });
    expect(importance.entries.map(({ name, length, counts }) => [name, length, counts.length])).toEqual(
      entries,
    );
    await statistics.close();
  },
);
