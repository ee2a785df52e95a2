import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { InputSource } from "./input-source.ts";
import { openStatistics } from "./statistics-file/open-statistics.ts";
import type { Statistics } from "./statistics-file/statistics.ts";
import { statisticsInputs } from "./statistics-inputs.ts";
import { SAMPLE_INPUTS, writeSampleStatistics } from "./testing/statistics.ts";

let folder: string;
let statistics: Statistics;
let source: InputSource;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "statistics-inputs-"));
  const path = await writeSampleStatistics(join(folder, "stats"));
  statistics = await openStatistics(path);
  source = statisticsInputs(await openStatistics(path));
});
afterAll(async () => {
  await Promise.all([source.close(), statistics.close()]);
  await rm(folder, { recursive: true });
});

const MATRICES = SAMPLE_INPUTS.flatMap((input) =>
  input.modules.flatMap((module) =>
    Array.from({ length: input.matrices }, (_, matrix) => ({ input, module, matrix })),
  ),
);
const nothing = { hessian: false, cross: false, heldOut: false };

describe("a statistics file as a source", () => {
  it.each(MATRICES)("gives the columns of $module, matrix $matrix", async ({ module, matrix }) => {
    const { tokens, mean, meanSquare, meanAbs, absMax } = await statistics.readChannels(module, matrix);
    expect(await source.read({ module, matrix, ...nothing })).toEqual({
      tokens,
      mean,
      meanSquare,
      meanMagnitude: meanAbs,
      largestMagnitude: absMax,
    });
  });

  it.each(MATRICES.filter(({ input }) => input.hessian))(
    "gives the Hessian of $module, matrix $matrix, in shared memory",
    async ({ module, matrix }) => {
      const { hessian } = await source.read({ module, matrix, ...nothing, hessian: true });
      expect(hessian!.buffer).toBeInstanceOf(SharedArrayBuffer);
      expect(hessian).toEqual(await statistics.readHessian({ module, matrix }));
    },
  );

  it("gives inputs that were kept apart, in shared memory", async () => {
    const request = { module: "blk.0.attn_k", ...nothing, heldOut: true };
    const { heldOut } = await source.read(request);
    expect(heldOut!.buffer).toBeInstanceOf(SharedArrayBuffer);
    expect(heldOut).toEqual((await statistics.readHoldOut("blk.0.attn_k")).rows);
    expect(heldOut).toHaveLength(10);
  });

  it.each([
    ["of an expert that saw none", "blk.1.ffn_up_exps", 2],
    ["of an input of which none were collected", "output", 0],
  ])("has no inputs that were kept apart %s", async (_, module, matrix) => {
    const read = await source.read({ module, matrix, ...nothing, heldOut: true });
    expect(read).not.toHaveProperty("heldOut");
  });

  it("is the same whatever layers become", async () => {
    expect(source.follows).toBe(false);
    const before = await source.read({ module: "blk.1.ffn_gate_exps", ...nothing, hessian: true });
    await source.replace({ tensor: "blk.0.attn_q.weight", values: new Float32Array(10) });
    await source.blockDone(0);
    const after = await source.read({ module: "blk.1.ffn_gate_exps", ...nothing, hessian: true });
    expect(after).toEqual(before);
  });

  it("refuses what it has not", async () => {
    const subject = { tensor: "output" };
    await expect(source.read({ module: "output", ...nothing, hessian: true })).rejects.toMatchObject({
      code: "STATISTICS_NOT_COLLECTED",
      subject,
    });
    await expect(source.read({ module: "output", ...nothing, cross: true })).rejects.toMatchObject({
      code: "STATISTICS_NOT_COLLECTED",
      subject,
    });
    await expect(source.read({ module: "blk.9.attn_q", ...nothing })).rejects.toMatchObject({
      code: "STATISTICS_UNKNOWN_MODULE",
      subject: { tensor: "blk.9.attn_q" },
    });
    await expect(source.read({ module: "output", matrix: 1, ...nothing })).rejects.toMatchObject({
      code: "STATISTICS_UNKNOWN_MODULE",
    });
  });
});
