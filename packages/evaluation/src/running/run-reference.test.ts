import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { QuernError } from "@quern/tensor";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { EvaluationEvent } from "../events.ts";
import type { EvaluationPlan, EvaluationRequest } from "../planning/evaluation-plan.ts";
import { planEvaluation } from "../planning/plan-evaluation.ts";
import { checkpointPath, fixtureText, openInput, textNamed } from "../testing/golden-evaluation.ts";
import { evaluate } from "./evaluate.ts";
import { runReference } from "./run-reference.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "run-reference-"));
});
afterEach(() => rm(folder, { recursive: true }));

const sources = [textNamed("a.txt", (await fixtureText()).slice(0, 9000))];
const input = await openInput(checkpointPath("llama31-bpe"));

function plan(request: Partial<EvaluationRequest> = {}): Promise<EvaluationPlan> {
  return planEvaluation({
    model: input,
    reference: input,
    sources,
    rule: { context: 32, score: "half" },
    limit: 8,
    threads: 0,
    tool: "test",
    folder,
    ...request,
  });
}

describe("a reference that is kept", () => {
  it("gives every evaluation the figures that it has by itself", async () => {
    const kept = await runReference(await plan({ keepsReference: true }));
    for (let round = 0; round < 2; round++) {
      const events: EvaluationEvent[] = [];
      const together = await evaluate(await plan());
      const apart = await evaluate(await plan({ keepsReference: true }), {
        kept,
        onEvent: (event) => events.push(event),
      });
      expect({ ...apart, run: undefined }).toEqual({ ...together, run: undefined });
      expect(events[0]).toMatchObject({ type: "start", tokens: 8 * 32 });
      expect(events.findLast(({ type }) => type === "progress")).toSatisfy(
        (event: { done: number; total: number }) => event.done === event.total,
      );
    }
    await kept.close();
    expect(await readdir(folder)).toEqual([]);
  });

  it("leaves the memory for its hidden states to others", async () => {
    const [together, apart] = [await plan(), await plan({ keepsReference: true })];
    expect(together.memory.states).toBe(2 * apart.memory.states);
  });

  it("is of the same windows, and of a plan for it", async () => {
    const kept = await runReference(await plan({ keepsReference: true }));
    const mismatch = expect.objectContaining({ code: "EVALUATION_REFERENCE_MISMATCH" }) as QuernError;
    const other = await plan({ keepsReference: true, limit: 7 });
    await expect(evaluate(other, { kept })).rejects.toEqual(mismatch);
    await expect(evaluate(await plan(), { kept })).rejects.toEqual(mismatch);
    await expect(evaluate(await plan({ keepsReference: true }))).rejects.toEqual(mismatch);
    await expect(runReference(await plan())).rejects.toMatchObject({ code: "EVALUATION_OPTION_INVALID" });
    await kept.close();
  });
});
