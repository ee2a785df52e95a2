import { cp, mkdtemp, rm, utimes } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openCheckpointDirectory } from "@quern/checkpoints/node";
import { readImportance } from "@quern/statistics";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ConversionPlan, PlanParams } from "../plan.ts";
import { planConversion } from "../planning/plan-conversion.ts";
import { goldenPath } from "../testing/golden.ts";
import { conversionIdentity, differingPart } from "./identity.ts";

const MODEL = "mixtral";

let folder: string;
let checkpoint: string;
let plan: ConversionPlan;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "identity-"));
  checkpoint = join(folder, "checkpoint");
  await cp(goldenPath(MODEL, "checkpoint"), checkpoint, { recursive: true });
  plan = await planned({});
});
afterAll(() => rm(folder, { recursive: true }));

async function planned(more: Partial<PlanParams>): Promise<ConversionPlan> {
  return planConversion({
    checkpoint: await openCheckpointDirectory(checkpoint),
    outputs: [{ type: "Q4_K_M", path: join(folder, "a.gguf") }],
    tool: "quern 1.2.3",
    threads: 0,
    ...more,
  });
}

describe("the identity of a conversion", () => {
  it("is the same for any resources", async () => {
    const other = await planned({ threads: 2, memory: 100_000, force: true });
    expect(other.identity).toEqual(plan.identity);
    expect(await conversionIdentity(plan)).toEqual(plan.identity);
    expect(differingPart(plan.identity, other.identity)).toBeUndefined();
  });

  it("is plain data without paths", () => {
    expect(JSON.parse(JSON.stringify(plan.identity))).toEqual(plan.identity);
    expect(JSON.stringify(plan.identity)).not.toContain(folder);
    expect(plan.identity).toMatchObject({ tool: "quern 1.2.3", source: { name: "checkpoint" } });
  });

  it.each<[string, string, () => Promise<Partial<PlanParams>>]>([
    ["tool", "another version", async () => ({ tool: "quern 1.2.4" })],
    ["recipe", "another type", async () => ({ outputs: [{ type: "Q4_K_S", path: join(folder, "a.gguf") }] })],
    [
      "recipe",
      "metadata that are set",
      async () => ({
        outputs: [
          {
            type: "Q4_K_M",
            path: join(folder, "a.gguf"),
            metadata: new Map([["general.name", { type: "string", value: "Mine" } as const]]),
          },
        ],
      }),
    ],
    ["measured", "errors of all weights", async () => ({ measureErrors: true })],
  ])("tells by the %s: %s", async (part, _what, more) => {
    const other = await planned(await more());
    expect(differingPart(plan.identity, other.identity)).toBe(part);
  });

  it("tells by importance, which files name, too", async () => {
    const importance = await readImportance(goldenPath(MODEL, "imatrix.gguf"), { name: "imatrix.gguf" });
    const one = (await planned({ importance })).identity;
    const other = (
      await planned({
        importance: {
          ...importance,
          async readWeights(name, range) {
            const weights = await importance.readWeights(name, range);
            weights[0]! += 1;
            return weights;
          },
        },
      })
    ).identity;
    expect(differingPart(plan.identity, one)).toBe("recipe");
    expect(differingPart(one, other)).toBe("importance");
  });

  it("tells by the time of files", async () => {
    const shard = plan.checkpoint.shards[0]!.name;
    await utimes(join(checkpoint, shard), 1_000_000, 1_000_000);
    expect(differingPart(plan.identity, (await planned({})).identity)).toBe("source");
  });
});
