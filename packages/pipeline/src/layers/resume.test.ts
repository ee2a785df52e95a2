import { createHash } from "node:crypto";
import { copyFileSync } from "node:fs";
import { appendFile, mkdtemp, open, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LayerParameters } from "@quern/checkpoints";
import { type InputSource, type Statistics, statisticsInputs } from "@quern/statistics";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { CheckpointEvent, CheckpointReport } from "./events.ts";
import type { LayeredModel } from "./linear-layers.ts";
import type { CheckpointPlan, PlanCheckpointParams } from "./plan.ts";
import { planCheckpoint } from "./planning/plan-checkpoint.ts";
import { writeCheckpoint } from "./running/write-checkpoint.ts";
import { goldenModel, hashesOf, recipeFor, type RecipeSettings } from "./testing/checkpoints.ts";
import { randomStatistics } from "./testing/random-statistics.ts";

const W4: LayerParameters = {
  bits: 4,
  tile: { rows: 1, columns: 32 },
  symmetric: true,
  scaleType: "F16",
};
const PLAIN: RecipeSettings = { format: "gptq", parameters: W4 };
const GUARDED: RecipeSettings = { ...PLAIN, rounding: { name: "gptq" }, guard: true };

let folder: string;
let model: LayeredModel;
let statistics: Statistics;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "resume-"));
  model = await goldenModel("llama2-spm");
  statistics = await randomStatistics({ model, path: join(folder, "statistics.safetensors"), tokens: 512 });
});
afterAll(async () => {
  await statistics.close();
  await rm(folder, { recursive: true });
});

let outputs = 0;
let output: string;
beforeEach(() => {
  output = join(folder, `output-${outputs++}`);
});

function planFor(
  settings: RecipeSettings,
  more: Partial<PlanCheckpointParams> = {},
): Promise<CheckpointPlan> {
  return planCheckpoint({
    model,
    recipe: recipeFor(model, settings),
    recipeName: "test",
    output,
    threads: 0,
    tool: "tests 1",
    ...more,
  });
}

/** Stops a run when so many layers are finished. */
async function stopAfter(plan: CheckpointPlan, layers: number): Promise<void> {
  const controller = new AbortController();
  const run = writeCheckpoint(plan, {
    signal: controller.signal,
    onEvent: (event) => {
      if (event.type === "tensor:done" && event.finished >= layers) controller.abort(new Error("enough"));
    },
  });
  await expect(run).rejects.toThrow("enough");
}

function filesOf(report: CheckpointReport): Promise<Readonly<Record<string, string>>> {
  return hashesOf(
    report.folder,
    report.files.map(({ name }) => name),
  );
}

function journalLines(): Promise<string[]> {
  return readFile(`${output}.partial.journal`, "utf8").then((text) => text.trimEnd().split("\n"));
}

/** Names of what is beside the output. */
async function left(): Promise<string[]> {
  const name = output.split("/").at(-1)!;
  return (await readdir(folder)).filter((found) => found.startsWith(name)).sort();
}

describe("a checkpoint whose run was stopped", () => {
  it.each<[string, RecipeSettings]>([
    ["nearest", PLAIN],
    ["gptq with a guard", GUARDED],
    ["awq and gptq", { ...GUARDED, transforms: [{ name: "awq" }] }],
    ["smooth-quant", { ...PLAIN, transforms: [{ name: "smooth-quant" }], statistics: "channels" }],
  ])("is finished by the next one, with the same files and figures: %s", async (_name, settings) => {
    const inputs = settings === PLAIN ? {} : { statistics };
    const whole = await writeCheckpoint(await planFor(settings, { ...inputs, output: `${output}-whole` }));
    const expected = await filesOf(whole);
    const name = output.split("/").at(-1)!;
    const moments = [
      [6, 2],
      [1, 0],
      [13, 0],
    ] as const;
    // Factors are searched again in each run.
    for (const [layers, threads] of settings.transforms ? moments.slice(0, 1) : moments) {
      await stopAfter(await planFor(settings, { ...inputs, threads }), layers);
      expect(await left()).toEqual([`${name}-whole`, `${name}.partial`, `${name}.partial.journal`]);
      const done: number[] = [];
      const report = await writeCheckpoint(await planFor(settings, { ...inputs, threads: 2 - threads }), {
        onEvent: (event) => {
          if (event.type === "progress") done.push(event.done);
        },
      });
      expect(report.resumed).toBeGreaterThanOrEqual(4 * layers);
      expect(await filesOf(report)).toEqual(expected);
      expect(report.layers).toEqual(whole.layers);
      expect(report.tensors).toEqual(whole.tensors);
      expect(done.at(-1)).toBe(whole.parameters);
      expect(await left()).toEqual([name, `${name}-whole`]);
      await rm(output, { recursive: true });
    }
  });

  it("says of all tensors what they hash to", async () => {
    const report = await writeCheckpoint(await planFor(PLAIN, { maxShardSize: 500_000 }));
    expect(report.tensors.length).toBeGreaterThan(50);
    const { checkpoint } = await planFor(PLAIN, { maxShardSize: 500_000, output: `${output}-other` });
    const { shards } = checkpoint.shards;
    expect(shards.length).toBeGreaterThan(1);
    const placed = shards.flatMap(({ layout }, file) =>
      [...layout.tensors].map(([name, place]) => ({ name, file, ...place })),
    );
    expect(report.tensors.map(({ name }) => name)).toEqual(placed.map(({ name }) => name));
    for (const [index, { name, file, offset, size, info }] of placed.entries()) {
      const bytes = await readFile(join(output, shards[file]!.fileName));
      const sha256 = createHash("sha256")
        .update(bytes.subarray(offset, offset + size))
        .digest("hex");
      expect(report.tensors[index]).toEqual({ name, type: info.type, file, bytes: size, sha256 });
    }
  });

  it("makes tensors again that are not what was noted, and what a torn line is about", async () => {
    const whole = await writeCheckpoint(await planFor(PLAIN, { output: `${output}-whole` }));
    await stopAfter(await planFor(PLAIN), 10);
    const { checkpoint } = await planFor(PLAIN);
    const [{ fileName, layout }] = checkpoint.shards.shards as unknown as [
      (typeof checkpoint.shards.shards)[0],
    ];
    const lines = (await journalLines()).map((line) => JSON.parse(line) as { tensors?: object });
    const entries = lines.flatMap(({ tensors }) => (tensors === undefined ? [] : [{ tensors }]));
    const [name] = Object.keys(entries[2]!.tensors);
    const { offset } = layout.tensors.get(name!)!;
    const file = await open(join(`${output}.partial`, fileName), "r+");
    await file.write(Uint8Array.of(1, 2, 3), 0, 3, offset);
    await file.close();
    await appendFile(`${output}.partial.journal`, '{"tensors":{"model.norm.weight":"0');
    const events: CheckpointEvent[] = [];
    const report = await writeCheckpoint(await planFor(PLAIN), { onEvent: (event) => events.push(event) });
    const tensors = (some: typeof entries): number =>
      some.reduce((sum, entry) => sum + Object.keys(entry.tensors).length, 0);
    const redone = tensors(entries.slice(2, 3));
    expect(report.resumed).toBe(tensors(entries) - redone);
    expect(events[1]).toMatchObject({ type: "resume", tensors: report.resumed, redone });
    expect(await filesOf(report)).toEqual(await filesOf(whole));
  });

  it("is finished where the folder has its name, and the journal is there", async () => {
    const whole = await writeCheckpoint(await planFor(PLAIN, { output: `${output}-whole` }));
    const journal = `${output}.partial.journal`;
    // What there is at the moment before the journal goes.
    const copied = `${output}-copied`;
    await writeCheckpoint(await planFor(PLAIN), {
      onEvent: (event) => {
        if (event.type === "progress") copyFileSync(journal, copied);
      },
    });
    const names = await readdir(output);
    await rename(copied, journal);
    await expect(planFor(PLAIN)).rejects.toMatchObject({ code: "OUTPUT_EXISTS" });
    await appendFile(journal, `${JSON.stringify({ finishing: true })}\n`);
    const restarted = planFor(PLAIN, { restart: true });
    await expect(restarted).rejects.toMatchObject({ code: "OUTPUT_EXISTS" });
    expect(await readdir(output)).toEqual(names);
    const report = await writeCheckpoint(await planFor(PLAIN));
    expect(report.resumed).toBeGreaterThan(10);
    expect(await filesOf(report)).toEqual(await filesOf(whole));
    expect(report.layers).toEqual(whole.layers);
    const name = output.split("/").at(-1)!;
    expect(await left()).toEqual([name, `${name}-whole`]);
  });

  it("begins anew where the journal or the folder is gone or says nothing", async () => {
    const journal = `${output}.partial.journal`;
    for (const spoil of [
      () => rm(journal),
      () => rm(`${output}.partial`, { recursive: true }),
      () => writeFile(journal, ""),
    ]) {
      await stopAfter(await planFor(PLAIN), 5);
      await spoil();
      expect((await writeCheckpoint(await planFor(PLAIN))).resumed).toBe(0);
      await rm(output, { recursive: true });
      expect(await left()).toEqual([]);
    }
  });

  it("is not gone on with by another one, unless that throws it away", async () => {
    await stopAfter(await planFor(PLAIN), 5);
    const lines = await journalLines();
    // Of another program.
    await writeFile(`${output}.partial.journal`, '{"format":"other"}\n');
    await expect(planFor(PLAIN)).rejects.toMatchObject({ code: "RESUME_OTHER_RUN" });
    await writeFile(`${output}.partial.journal`, `${lines.join("\n")}\n`);
    const others: [string, RecipeSettings, Partial<PlanCheckpointParams>][] = [
      ["recipe", { ...PLAIN, parameters: { ...W4, symmetric: false } }, {}],
      ["recipe", { ...PLAIN, calibrator: { name: "mean-squared-error" } }, {}],
      ["tool", PLAIN, { tool: "tests 2" }],
      ["source", PLAIN, { model: await goldenModel("qwen3") }],
    ];
    for (const [part, settings, more] of others) {
      const own = more.model ?? model;
      const plan = planFor(settings, { ...more, recipe: recipeFor(own, settings) });
      const error = await plan.catch((reason: unknown) => reason);
      expect(error).toMatchObject({
        code: "RESUME_OTHER_RUN",
        subject: { file: `${output}.partial.journal` },
      });
      expect((error as Error).message).toContain(part);
    }
    await expect(planFor(GUARDED, { statistics })).rejects.toMatchObject({
      subject: { key: "recipe, statistics, kernels" },
    });
    expect(await planFor(PLAIN)).toMatchObject({ resumes: true });
    const other = { ...PLAIN, calibrator: { name: "mean-squared-error" } } as const;
    const restarted = await planFor(other, { restart: true });
    expect(restarted).toMatchObject({ resumes: false });
    // Nothing goes before it runs.
    expect(await journalLines()).toEqual(lines);
    expect((await writeCheckpoint(restarted)).resumed).toBe(0);
  });

  it("leaves nothing where too little is known of its inputs to go on", async () => {
    const { identity: _identity, ...inputs } = statisticsInputs(statistics);
    await stopAfter(await planFor(GUARDED, { inputs }), 5);
    expect(await left()).toEqual([]);
  });
});

/** A source that follows, and notes what it is asked and told. */
function followed(log: string[], from: number): InputSource {
  const source = statisticsInputs(statistics);
  return {
    ...source,
    follows: true,
    async begin({ finished }) {
      log.push(`begin ${finished}`);
      return Math.min(from, finished);
    },
    read(request) {
      log.push(`read ${request.module}`);
      return source.read(request);
    },
    async replace({ tensor, values }) {
      log.push(`replace ${tensor} ${createHash("sha256").update(values).digest("hex").slice(0, 8)}`);
    },
    async blockDone(block) {
      log.push(`done ${block}`);
    },
    async discard() {
      log.push("discard");
    },
    close: async () => undefined,
  };
}

describe("a run along that was stopped", () => {
  it.each([0, 1])("tells its source again what it has finished behind block %i", async (from) => {
    const settings: RecipeSettings = { ...GUARDED, guard: false };
    const all: string[] = [];
    const whole = await writeCheckpoint(
      await planFor(settings, { inputs: followed(all, 0), output: `${output}-whole` }),
    );
    expect(all[0]).toBe("begin 0");
    expect(all.at(-1)).toBe("discard");
    // Three of the four stages of the second block.
    const stopped: string[] = [];
    await stopAfter(await planFor(settings, { inputs: followed(stopped, 0), threads: 2 }), 12);
    expect(stopped).not.toContain("discard");
    const log: string[] = [];
    const report = await writeCheckpoint(await planFor(settings, { inputs: followed(log, from) }));
    expect(await filesOf(report)).toEqual(await filesOf(whole));
    expect(report.layers).toEqual(whole.layers);
    expect(log[0]).toBe("begin 1");
    const read = log.filter((line) => line.startsWith("read"));
    expect(["read blk.1.ffn_gate", "read blk.1.ffn_down"]).toEqual(expect.arrayContaining(read));
    expect(read.at(-1)).toBe("read blk.1.ffn_down");
    const told = all.filter((line) => /^(replace|done)/.test(line));
    const own = from === 0 ? told : told.slice(told.indexOf("done 0") + 1);
    expect(log.filter((line) => /^(replace|done)/.test(line))).toEqual(own);
  });
});
