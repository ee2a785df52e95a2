import { fileURLToPath } from "node:url";
import { openModel } from "@quern/checkpoints/node";
import type { CorpusSummary } from "@quern/corpus";
import { type ModelWindow, openRunnable, type RunnableModel } from "@quern/inference";
import type { CalibrationPlan } from "../plan.ts";
import { blockPasses } from "../planning/block-passes.ts";
import type { CalibrationWindows, WindowPart } from "../planning/calibration-windows.ts";
import { planCalibration, type PlanCalibrationParams } from "../planning/plan-calibration.ts";

/** A tiny checkpoint; fixtures/golden/README.md describes them. */
export async function goldenModel(name: string): Promise<RunnableModel> {
  const path = new URL(`../../../../fixtures/golden/${name}/checkpoint`, import.meta.url);
  return openRunnable(await openModel(fileURLToPath(path)));
}

/** Windows of made-up tokens, some of several sequences. */
export function someWindows(vocabularySize: number, { heldOut = true } = {}): CalibrationWindows {
  let state = 7;
  const windows = (lengths: readonly number[]): ModelWindow[] =>
    lengths.map((length, index) => ({
      tokens: Int32Array.from({ length }, () => {
        state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
        return state % vocabularySize;
      }),
      starts: index % 2 === 0 ? [0] : [0, Math.floor(length / 3)],
    }));
  const part = (lengths: readonly number[]): WindowPart => {
    const tokens = lengths.reduce((sum, length) => sum + length, 0);
    const source = { name: "made up", weight: 1, documentsRead: 1, tokensRead: tokens, exhausted: true };
    const summary: CorpusSummary = {
      sources: [{ ...source, windows: lengths.length, tokens }],
      windows: lengths.length,
      tokens,
      hash: "0".repeat(64),
    };
    return { windows: windows(lengths), summary };
  };
  return {
    rule: { kind: "packed", length: 31 },
    calibration: part([20, 31, 5, 20, 1]),
    ...(heldOut && { holdOut: part([17, 9]) }),
    holdOutEvery: heldOut ? 4 : 0,
    warnings: [],
  };
}

/** A plan for a golden checkpoint. */
export async function goldenPlan(
  params: Pick<PlanCalibrationParams, "output"> & Partial<PlanCalibrationParams> & { name: string },
): Promise<CalibrationPlan> {
  const model = params.model ?? (await goldenModel(params.name));
  return planCalibration({
    windows: someWindows(model.vocabularySize),
    threads: 0,
    tool: "quern test",
    ...params,
    model,
  });
}

/** The same with as little memory as works: Hessians of a few rows at a time, one window at a time, hidden states in a file. */
export function withLeastMemory(plan: CalibrationPlan, hessians: number): CalibrationPlan {
  return {
    ...plan,
    memory: { ...plan.memory, batch: 1, hessians, states: 0 },
    stages: plan.stages.map(({ stage, passes, ...rows }) => ({
      stage,
      ...rows,
      passes: passes.some(({ slices }) => slices.length > 0)
        ? blockPasses({ inputs: stage.inputs, memory: hessians, threads: plan.threads })
        : passes,
    })),
  };
}
