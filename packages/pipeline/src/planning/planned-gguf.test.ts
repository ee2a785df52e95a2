import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { GgufModel } from "@quern/checkpoints";
import { openCheckpointDirectory, openGgufModel } from "@quern/checkpoints/node";
import { afterAll, expect, it } from "vitest";
import { convert } from "../conversion/convert.ts";
import { goldenPath } from "../testing/golden.ts";
import { planConversion } from "./plan-conversion.ts";
import { plannedGguf } from "./planned-gguf.ts";

const folder = await mkdtemp(join(tmpdir(), "planned-"));
afterAll(() => rm(folder, { recursive: true }));

/** Arrays of files are read as they are asked for. */
function plain({ metadata }: GgufModel): unknown {
  return [...metadata].map(([key, value]) => [
    key,
    value.type,
    value.type === "array" ? [...(value as Iterable<unknown>)] : value.value,
  ]);
}

it.each([{ type: "Q4_K_M" }, { type: "F32", split: { maxBytes: 100_000 } }])(
  "an output of %j is planned as it opens once it is written",
  async (request) => {
    const checkpoint = await openCheckpointDirectory(goldenPath("qwen3", "checkpoint"));
    const plan = await planConversion({ checkpoint, outputs: [request], directory: folder, threads: 0 });
    const planned = plannedGguf(plan.outputs[0]!);
    await convert(plan);
    const opened = await openGgufModel(plan.outputs[0]!.files[0]!.path);
    expect({ ...planned, metadata: plain(planned) }).toEqual({ ...opened, metadata: plain(opened) });
    expect(planned.shards.length).toBe(plan.outputs[0]!.files.length);
  },
);
