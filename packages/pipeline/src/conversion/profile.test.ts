import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openCheckpointDirectory } from "@quern/checkpoints/node";
import { expect, it } from "vitest";
import { planConversion } from "../planning/plan-conversion.ts";
import { convert } from "./convert.ts";

const demo = fileURLToPath(new URL("../../../../examples/quern-demo", import.meta.url));

it.each([0, 2])("accounts for the whole time of %i worker threads", async (threads) => {
  const directory = await mkdtemp(join(tmpdir(), "quern-profile-"));
  try {
    const checkpoint = await openCheckpointDirectory(demo);
    const plan = await planConversion({ checkpoint, outputs: [{ type: "Q4_K_M" }], directory, threads });
    const { profile, seconds } = await convert(plan);
    const { start, quantize, convert: rearranging, idle, other, finish } = profile;
    expect(profile.threads).toBe(Math.max(threads, 1));
    for (const time of Object.values(profile)) expect(time).toBeGreaterThanOrEqual(0);
    expect(quantize).toBeGreaterThan(0);
    expect(profile.read).toBeGreaterThan(0);
    // What threads did, shared by them, fills the time between start and finish; what they did beyond it would show.
    const working = (quantize + rearranging + idle + other) / profile.threads;
    expect(start + working + finish).toBeCloseTo(seconds, 1);
  } finally {
    await rm(directory, { recursive: true });
  }
});
