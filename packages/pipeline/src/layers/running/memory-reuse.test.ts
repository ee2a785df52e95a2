import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type InputSource, type InputStatistics, statisticsInputs } from "@quern/statistics";
import { expect, it } from "vitest";
import { planCheckpoint } from "../planning/plan-checkpoint.ts";
import { goldenModel, recipeFor } from "../testing/checkpoints.ts";
import { randomStatistics } from "../testing/random-statistics.ts";
import { writeCheckpoint } from "./write-checkpoint.ts";

/** A source that keeps what it has given. */
function recorded(source: InputSource, given: InputStatistics[]): InputSource {
  return {
    follows: source.follows,
    async read(request) {
      const statistics = await source.read(request);
      given.push(statistics);
      return statistics;
    },
    replace: (params) => source.replace(params),
    blockDone: (block) => source.blockDone(block),
    close: () => source.close(),
  };
}

it.each([0, 2])("uses the memory of a group for the next ones, with %i threads", async (threads) => {
  const folder = await mkdtemp(join(tmpdir(), "quern-memory-"));
  try {
    const model = await goldenModel("qwen3");
    const statistics = await randomStatistics({ model, path: join(folder, "statistics.safetensors") });
    const given: InputStatistics[] = [];
    const plan = await planCheckpoint({
      model,
      recipe: recipeFor(model, {
        format: "gptq",
        parameters: { bits: 4, tile: { rows: 1, columns: 32 }, symmetric: true, scaleType: "F16" },
        rounding: { name: "gptq", options: { passes: 1 } },
        guard: true,
      }),
      recipeName: "test",
      output: join(folder, "out"),
      inputs: recorded(statisticsInputs(statistics), given),
      threads,
      tool: "tests",
    });
    // One group after another.
    await writeCheckpoint({ ...plan, resources: { ...plan.resources, groupMemory: 1 } });
    await statistics.close();
    for (const key of ["hessian", "heldOut"] as const) {
      const buffers = given.map((input) => input[key]!.buffer);
      const sizes = new Set(buffers.map(({ byteLength }) => byteLength)).size;
      // Of each size there is one, and where something else is as large, another one to choose from.
      expect(new Set(buffers).size).toBeLessThanOrEqual(2 * sizes);
      expect(buffers.length).toBeGreaterThan(2 * sizes);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
