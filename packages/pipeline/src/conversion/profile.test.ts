import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openCheckpointDirectory } from "@quern/checkpoints/node";
import { describe, expect, it } from "vitest";
import { planConversion } from "../planning/plan-conversion.ts";
import { convert } from "./convert.ts";
import { Profiler } from "./profile.ts";

const demo = fileURLToPath(new URL("../../../../examples/quern-demo", import.meta.url));

describe("Profiler", () => {
  it("divides the time of all threads", () => {
    let now = 1000;
    const profiler = new Profiler(() => now);
    now += 500;
    profiler.ready();
    profiler.add({ read: 400, convert: 100, quantize: 1900, measure: 100, write: 300 });
    profiler.add({ read: 600, convert: 50, quantize: 1000, measure: 0, write: 200 });
    now += 2000;
    profiler.slabsDone({ idle: [100, 250] });
    now += 300;
    profiler.rounded();
    now += 700;
    expect(profiler.finished()).toEqual({
      threads: 2,
      start: 0.5,
      quantize: 2.9,
      measure: 0.1,
      convert: 0.15,
      idle: 0.35,
      other: 0.5,
      read: 1,
      write: 0.5,
      rounding: 0.3,
      finish: 0.7,
    });
  });
});

it.each([0, 2])("is part of the report of a conversion with %i worker threads", async (threads) => {
  const directory = await mkdtemp(join(tmpdir(), "quern-profile-"));
  try {
    const checkpoint = await openCheckpointDirectory(demo);
    const plan = await planConversion({ checkpoint, outputs: [{ type: "Q4_K_M" }], directory, threads });
    const { profile } = await convert(plan);
    expect(profile.threads).toBe(Math.max(threads, 1));
    for (const time of Object.values(profile)) expect(time).toBeGreaterThanOrEqual(0);
    for (const part of ["quantize", "read", "write", "finish"] as const)
      expect(profile[part]).toBeGreaterThan(0);
  } finally {
    await rm(directory, { recursive: true });
  }
});
