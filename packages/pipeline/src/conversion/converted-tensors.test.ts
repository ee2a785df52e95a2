// @module-tag kernels

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { openCheckpointDirectory } from "@quern/checkpoints/node";
import { readImportance } from "@quern/statistics";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { PlanParams } from "../plan.ts";
import { planConversion } from "../planning/plan-conversion.ts";
import { goldenPath } from "../testing/golden.ts";
import { convert } from "./convert.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "converted-tensors-"));
});
afterAll(() => rm(folder, { recursive: true }));

describe.each<Partial<PlanParams>>([
  { threads: 0 },
  { threads: 2, memory: 20_000 },
  { threads: 0, backend: "wasm" },
])("checksums of tensors with %o", (more) => {
  it("are those of their bytes in the files, those of split sets included", async () => {
    const plan = await planConversion({
      checkpoint: await openCheckpointDirectory(goldenPath("mixtral", "checkpoint")),
      importance: await readImportance(goldenPath("mixtral", "imatrix.gguf")),
      outputs: [
        { type: "Q4_K_M", path: join(folder, "a.gguf") },
        { type: "Q8_0", path: join(folder, "b.gguf"), split: { maxTensors: 5 } },
      ],
      force: true,
      ...more,
    });
    const report = await convert(plan);
    for (const [index, { tensors, files }] of plan.outputs.entries()) {
      const contents = await Promise.all(files.map(({ path }) => readFile(path)));
      expect(report.outputs[index]!.tensors).toEqual(
        tensors.map(({ name, type, file, offset, size }) => ({
          name,
          type,
          file,
          bytes: size,
          crc32: crc32(contents[file]!.subarray(offset, offset + size))
            .toString(16)
            .padStart(8, "0"),
        })),
      );
    }
  });
});
