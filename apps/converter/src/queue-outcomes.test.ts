// What other machines may claim to have done: a plan takes what answers its parts, and nothing else.

import { createHash } from "node:crypto";
import { mkdir, open, readFile } from "node:fs/promises";
import { join } from "node:path";
import { openCheckpointDirectory } from "@quern/checkpoints/node";
import { type ConversionPlan, planConversion } from "@quern/pipeline";
import {
  type CheckpointOutcome,
  type CheckpointPlan,
  checkpointParts,
  openCheckpointConverter,
  openLayeredModel,
  partialFiles,
  planCheckpoint,
} from "@quern/pipeline/layers";
import { shareConversion, type SharedPlan } from "@quern/queue";
import { shareCheckpoint } from "@quern/queue/checkpoints";
import { presetNamed, resolveRecipe } from "@quern/recipes";
import { beforeAll, describe, expect, it } from "vitest";
import { demoCheckpoint, temporaryFolder } from "./testing/run-cli.ts";

async function planned(folder: string): Promise<CheckpointPlan> {
  const recipe = presetNamed("bnb-nf4");
  const model = await openLayeredModel(await openCheckpointDirectory(demoCheckpoint), recipe);
  return planCheckpoint({
    model,
    recipe: resolveRecipe(recipe, model.linears, model),
    recipeName: recipe.name,
    output: join(folder, "out"),
    tool: "test:1",
    threads: 0,
  });
}

describe("parts of a checkpoint", () => {
  let plan: CheckpointPlan;
  let shared: SharedPlan;
  let good: CheckpointOutcome;

  beforeAll(async () => {
    plan = await planned(await temporaryFolder());
    shared = await shareCheckpoint(plan);
    const part = checkpointParts(plan)[0]!;
    good = {
      tensor: 0,
      entries: part.group!.layers.map((layer) => ({
        tensors: Object.fromEntries(
          [...layer.targets.keys()].map((suffix) => [`${layer.linear.module}${suffix}`, "0".repeat(64)]),
        ),
        layer: {
          module: layer.linear.module,
          format: "bitsandbytes",
          bits: 4,
          elements: 1,
          rounding: "nearest",
          squaredErrors: 0,
          squaredWeights: 1,
          relativeError: 0,
        },
      })),
    };
  });

  it.each([
    [{ tensor: -1 }],
    [{ tensor: 0.5 }],
    [{ tensor: "0" }],
    [{ tensor: 0, outputs: [0] }],
    [{}],
    [null],
    [[0]],
  ])("are not %j", (part) => {
    expect(shared.partSchema.safeParse(part).success).toBe(false);
  });

  it("are those of the plan", () => {
    const count = checkpointParts(plan).length;
    expect(shared.describe({ tensor: count - 1 })).toBeDefined();
    for (const tensor of [count, 2 ** 53 - 1]) expect(shared.describe({ tensor })).toBeUndefined();
  });

  it("are answered by outcomes with all of their tensors, and no others", () => {
    const part = { tensor: 0 };
    const [first, ...rest] = good.entries;
    const { [Object.keys(first!.tensors)[0]!]: _left, ...fewer } = first!.tensors;
    const answers = (outcome: unknown): boolean => {
      const parsed = shared.outcomeSchema.safeParse(outcome);
      return parsed.success && shared.answers(part, parsed.data);
    };
    expect(answers(good)).toBe(true);
    for (const outcome of [
      { ...good, tensor: 1 },
      { ...good, entries: [] },
      { ...good, entries: rest },
      { ...good, entries: [...good.entries, first] },
      { ...good, entries: [{ ...first!, tensors: fewer }, ...rest] },
      { ...good, entries: [{ ...first!, tensors: { ...fewer, "../../x": "0".repeat(64) } }, ...rest] },
      { ...good, entries: [{ ...first!, tensors: { ...first!.tensors, more: "0".repeat(64) } }, ...rest] },
      { ...good, entries: [{ tensors: first!.tensors }, ...rest] },
      { ...good, entries: [{ ...first!, layer: { ...first!.layer!, module: "other" } }, ...rest] },
      { ...good, entries: [{ ...first!, tensors: { ...fewer, x: "no hash" } }, ...rest] },
      { ...good, factors: { somewhere: "AACAPw==" } },
      { tensor: 0, entries: JSON.parse('[{"tensors":{"__proto__":"x"}}]') as unknown },
      "done",
    ]) {
      expect(answers(outcome), JSON.stringify(outcome)).toBe(false);
    }
  });

  it("are written when their bytes are in the files, and not before", async () => {
    const files = partialFiles(plan);
    await mkdir(join(files[0]!.name, ".."), { recursive: true });
    for (const { partial, size, header } of shared.files) {
      const handle = await open(partial, "wx");
      await handle.truncate(size);
      await handle.write(header, 0, header.byteLength, 0);
      await handle.close();
    }
    expect(await shared.isWritten(good)).toBe(false);
    const converter = await openCheckpointConverter(plan);
    const [outcome] = await converter.convert({
      work: [{ tensor: 0 }],
      signal: new AbortController().signal,
    });
    await converter.close();
    expect(shared.answers({ tensor: 0 }, outcome)).toBe(true);
    expect(await shared.isWritten(outcome)).toBe(true);
    const place = checkpointParts(plan)[0]!.places[0]!;
    const { partial } = shared.files[place.target.file]!;
    const bytes = (await readFile(partial)).subarray(place.target.offset, place.target.offset + place.bytes);
    expect(outcome!.entries[0]!.tensors[place.name]).toBe(createHash("sha256").update(bytes).digest("hex"));
    const handle = await open(partial, "r+");
    await handle.write(Uint8Array.of(bytes[0]! ^ 1), 0, 1, place.target.offset);
    await handle.close();
    expect(await shared.isWritten(outcome)).toBe(false);
  });
});

describe("parts of a conversion", () => {
  let plan: ConversionPlan;
  let shared: SharedPlan;

  beforeAll(async () => {
    plan = await planConversion({
      checkpoint: await openCheckpointDirectory(demoCheckpoint),
      outputs: [{ type: "Q8_0" }, { type: "F16" }],
      directory: await temporaryFolder(),
      threads: 0,
    });
    shared = shareConversion(plan);
  });

  it("are tensors of the plan, in its outputs", () => {
    const count = plan.tensors.length;
    expect(shared.describe({ tensor: count - 1, outputs: [1] })).toBeDefined();
    expect(shared.describe({ tensor: count, outputs: [1] })).toBeUndefined();
    expect(shared.describe({ tensor: 0, outputs: [2] })).toBeUndefined();
    for (const part of [{ tensor: 0 }, { tensor: 0, outputs: [] }, { tensor: -1, outputs: [0] }]) {
      expect(shared.partSchema.safeParse(part).success).toBe(false);
    }
  });

  it("are answered by outcomes for all outputs that were wanted, and no others", () => {
    const part = { tensor: 3, outputs: [0, 1] };
    const done = (outputs: number[], tensor = 3): object => ({ tensor, outputs, crc32: "00000000" });
    const answers = (...parts: object[]): boolean => shared.answers(part, { tensor: 3, parts, errors: [] });
    expect(answers(done([0, 1]))).toBe(true);
    expect(answers(done([0]), done([1]))).toBe(true);
    expect(answers(done([0]))).toBe(false);
    expect(answers(done([0]), done([2]))).toBe(false);
    expect(answers(done([0, 1], 4))).toBe(false);
    expect(shared.answers(part, { tensor: 4, parts: [done([0, 1])], errors: [] })).toBe(false);
  });
});
