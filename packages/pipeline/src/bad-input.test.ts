// @module-tag kernels

import { execFileSync } from "node:child_process";
import {
  chmod,
  cp,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  truncate,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openCheckpointDirectory } from "@quern/checkpoints/node";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { convert, convertIter } from "./conversion/convert.ts";
import { readImportance } from "@quern/statistics";
import type { ConversionEvent } from "./events.ts";
import type { PlanParams } from "./plan.ts";
import { planConversion } from "./planning/plan-conversion.ts";
import type { OutputRequest } from "./recipe.ts";
import { goldenPath } from "./testing/golden.ts";

const model = goldenPath("llama2-spm", "checkpoint");
const imatrix = goldenPath("llama2-spm", "imatrix.gguf");

let folder: string;
let output: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "bad-input-"));
  await mkdir(join(folder, "out"));
  output = join(folder, "out", "model.gguf");
});
afterEach(() => rm(folder, { recursive: true }));

async function copyOf(checkpoint: string): Promise<string> {
  const copy = join(folder, "model");
  await cp(checkpoint, copy, { recursive: true });
  return copy;
}

async function plan(checkpoint: string, more: Partial<PlanParams> = {}) {
  return planConversion({
    checkpoint: await openCheckpointDirectory(checkpoint),
    outputs: [{ type: "Q8_0", path: output }],
    threads: 0,
    ...more,
  });
}

/** Nothing in the output folder has a final name: there is only what the same conversion can go on with. */
async function expectUnfinished(): Promise<void> {
  const names = await readdir(join(folder, "out"));
  expect(["model.gguf.partial", "model.gguf.partial.journal"]).toEqual(expect.arrayContaining(names));
}

/** Nothing in the output folder: no file of the final name, no partial file. */
async function expectNothingLeft(): Promise<void> {
  expect(await readdir(join(folder, "out"))).toEqual([]);
}

/** Overwrites an element of a BF16 tensor of the only shard. */
async function patchWeight(checkpoint: string, tensor: string, index: number, bits: number): Promise<void> {
  const opened = await openCheckpointDirectory(checkpoint);
  const { shard, offset, type } = opened.tensors.get(tensor)!;
  expect(type).toBe("BF16");
  const handle = await open(join(checkpoint, shard), "r+");
  await handle.write(new Uint8Array([bits & 0xff, bits >> 8]), 0, 2, offset + index * 2);
  await handle.close();
}

/** Mounts an empty file system over a folder; only the superuser may, and not in every container. */
function mount(mountPoint: string, options: string): boolean {
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", mountPoint], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

const canMount = await (async () => {
  const mountPoint = await mkdtemp(join(tmpdir(), "mount-"));
  const mounted = mount(mountPoint, "size=4k");
  if (mounted) execFileSync("umount", [mountPoint]);
  await rm(mountPoint, { recursive: true });
  return mounted;
})();
const superuser = process.getuid?.() === 0;

describe.each([0, 2])("bad weights, %i threads", (threads) => {
  it.each([
    ["NaN", 0x7fc0],
    ["infinity", 0xff80],
  ])("%s: names the tensor and the element, leaves nothing", async (_, bits) => {
    const copy = await copyOf(model);
    await patchWeight(copy, "model.layers.1.mlp.down_proj.weight", 256 * 100 + 7, bits);
    const error = await convert(await plan(copy, { threads })).catch((error: unknown) => error);
    expect(error).toMatchObject({
      code: "WEIGHT_NOT_FINITE",
      subject: { tensor: "blk.1.ffn_down.weight", offset: 256 * 100 + 7 },
    });
    expect((error as Error).message).toContain("model.layers.1.mlp.down_proj.weight");
    expect((error as Error).message).toContain("row 100, column 7");
    await expectNothingLeft();
  });

  // BF16 bits of 65536, 2^127, 2^31 and -65536. The block starts `back` weights before the large one.
  it.each<[string, number, Partial<OutputRequest>, boolean, number, string]>([
    ["F16", 0x4780, { type: "F16" }, false, 0, "column 70 that are out of the range of F16"],
    ["Q8_0", 0x7f00, { type: "Q8_0" }, false, 6, "columns 64 to 95 that are out of the range of Q8_0"],
    [
      "a mixture",
      0x4f00,
      { type: "Q4_K_M", pure: true },
      false,
      70,
      "columns 0 to 255 that are out of the range of Q4_K",
    ],
    [
      "importance",
      0x4f00,
      { type: "Q4_K_M", pure: true },
      true,
      70,
      "columns 0 to 255 that are out of the range of Q4_K",
    ],
    [
      "the intermediate type",
      0xc780,
      { type: "Q8_0", flavour: "quantizer", intermediate: "F16" },
      false,
      0,
      "column 70 that are out of the range of F16: they would become infinite or NaN. Choose BF16 or F32 as the intermediate type.",
    ],
  ])(
    "a weight too large for %s: names the tensor and the block",
    async (_, bits, request, weighted, back, text) => {
      const copy = await copyOf(model);
      await patchWeight(copy, "model.layers.1.mlp.down_proj.weight", 256 * 100 + 70, bits);
      const importance = weighted ? { importance: await readImportance(imatrix) } : {};
      const outputs = [
        // F32 takes everything: the run stops all the same.
        { type: "F32", path: join(folder, "out", "f32.gguf") },
        { type: "Q8_0", path: output, ...request },
      ];
      const planned = await plan(copy, { threads, outputs, ...importance });
      const error = await convert(planned).catch((error: unknown) => error);
      expect(error).toMatchObject({
        code: "WEIGHT_OVERFLOWS",
        subject: { tensor: "blk.1.ffn_down.weight", offset: 256 * 100 + 70 - back },
      });
      expect((error as Error).message).toContain('made from "model.layers.1.mlp.down_proj.weight"');
      expect((error as Error).message).toContain(`in row 100, ${text}`);
      await expectNothingLeft();
    },
  );

  it("a large weight that fits", async () => {
    const copy = await copyOf(model);
    await patchWeight(copy, "model.layers.1.mlp.down_proj.weight", 256 * 100 + 70, 0x477f);
    await convert(await plan(copy, { threads, outputs: [{ type: "F16", path: output }] }));
    expect(await readdir(join(folder, "out"))).toEqual(["model.gguf"]);
  });

  it("a shard that changed since the plan", async () => {
    const copy = await copyOf(model);
    const planned = await plan(copy, { threads });
    const shard = join(copy, "model.safetensors");
    await truncate(shard, (await readFile(shard)).byteLength - 100);
    await expect(convert(planned)).rejects.toMatchObject({ code: "CHECKPOINT_CHANGED" });
    await rm(shard);
    await expect(convert(planned)).rejects.toMatchObject({ code: "SOURCE_NOT_FOUND" });
    await expectNothingLeft();
  });

  it("an abort before, and one in the midst", async () => {
    const planned = await plan(model, { threads, memory: 2 ** 16 });
    await expect(convert(planned, { signal: AbortSignal.abort(new Error("too late")) })).rejects.toThrow(
      "too late",
    );
    await expectNothingLeft();

    const controller = new AbortController();
    const aborted = convert(planned, {
      signal: controller.signal,
      onEvent: (event) => {
        if (event.type === "tensor:done" && event.finished === 3) controller.abort(new Error("enough"));
      },
    });
    await expect(aborted).rejects.toThrow("enough");
    await expectUnfinished();

    for await (const event of convertIter(planned)) {
      if (event.type === "tensor:done") break;
    }
    await expectUnfinished();
    await convert(planned);
    expect(await readdir(join(folder, "out"))).toEqual(["model.gguf"]);
  });

  it.skipIf(!canMount)("a disk that is full", async () => {
    const planned = await plan(model, { threads });
    const disk = join(folder, "out");
    mount(disk, "size=256k");
    try {
      await expect(convert(planned)).rejects.toMatchObject({
        code: "OUTPUT_DISK_FULL",
        subject: { file: output },
      });
      await expectUnfinished();
      await expect(plan(model)).rejects.toMatchObject({ code: "OUTPUT_NO_SPACE" });
    } finally {
      execFileSync("umount", [disk]);
    }
  });
});

describe("refused when planned", () => {
  it("an output that exists, unless it may be replaced", async () => {
    await writeFile(output, "theirs");
    await expect(plan(model)).rejects.toMatchObject({ code: "OUTPUT_EXISTS", subject: { file: output } });
    const planned = await plan(model, { force: true });
    expect(planned.outputs[0]!.files[0]!.replaces).toBe(true);
    await convert(planned);
    expect((await readFile(output)).subarray(0, 4).toString()).toBe("GGUF");
  });

  it("an output that came since the plan", async () => {
    const planned = await plan(model);
    await writeFile(output, "theirs");
    await expect(convert(planned)).rejects.toMatchObject({ code: "OUTPUT_EXISTS" });
    expect(await readFile(output, "utf8")).toBe("theirs");
    expect((await readdir(join(folder, "out"))).sort()).toEqual([
      "model.gguf",
      "model.gguf.partial",
      "model.gguf.partial.journal",
    ]);
    // Nothing is lost: what was in the way may be replaced, or goes away.
    const events: ConversionEvent[] = [];
    await convert(await plan(model, { force: true }), { onEvent: (event) => events.push(event) });
    expect(events.find(({ type }) => type === "resume")).toMatchObject({ tensors: 21, redone: 0 });
    expect((await readFile(output)).subarray(0, 4).toString()).toBe("GGUF");
  });

  it("an output that is a file of the checkpoint, even if it may be replaced", async () => {
    const copy = await copyOf(model);
    const outputs = [{ type: "Q8_0", path: join(copy, "model.safetensors") }];
    await expect(plan(copy, { outputs, force: true })).rejects.toMatchObject({ code: "OUTPUT_IS_SOURCE" });
  });

  it("two outputs of one name", async () => {
    const outputs = [
      { type: "Q8_0", path: output },
      { type: "F16", path: join(folder, "out", ".", "model.gguf") },
    ];
    await expect(plan(model, { outputs })).rejects.toMatchObject({ code: "OUTPUT_DUPLICATE" });
  });

  it("a folder that cannot be written", async () => {
    await writeFile(join(folder, "file"), "");
    const below = [{ type: "Q8_0", path: join(folder, "file", "model.gguf") }];
    await expect(plan(model, { outputs: below })).rejects.toMatchObject({ code: "OUTPUT_NOT_WRITABLE" });
  });

  // Permissions do not bind the superuser, who can mount something read-only instead.
  it.skipIf(superuser && !canMount)("a folder that is read-only", async () => {
    const out = join(folder, "out");
    if (superuser) mount(out, "ro");
    else await chmod(out, 0o555);
    try {
      await expect(plan(model)).rejects.toMatchObject({
        code: "OUTPUT_NOT_WRITABLE",
        subject: { file: output },
      });
    } finally {
      if (superuser) execFileSync("umount", [out]);
      else await chmod(out, 0o755);
    }
  });

  it("an unknown type, with a suggestion", async () => {
    const outputs = [{ type: "Q4_K_X", path: output }];
    await expect(plan(model, { outputs })).rejects.toMatchObject({ code: "RECIPE_UNKNOWN" });
    await expect(plan(model, { outputs: [] })).rejects.toMatchObject({ code: "PLAN_NO_OUTPUTS" });
  });

  it("numbers that make no sense", async () => {
    for (const memory of [0, -1, 1.5, Number.NaN]) {
      await expect(plan(model, { memory })).rejects.toMatchObject({ code: "PLAN_MEMORY" });
    }
    for (const threads of [-1, 0.5, 1e9]) {
      await expect(plan(model, { threads })).rejects.toMatchObject({ code: "PLAN_THREADS" });
    }
  });
});
