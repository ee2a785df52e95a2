import { readdirSync } from "node:fs";
import { loadKernels } from "@quern/kernels";
import { describe, expect, it } from "vitest";
import { FORWARD, forwardCase, type LoadedCheckpoint, loadCase, runCase } from "../testing/forward-case.ts";
import { randomNormal } from "../testing/random-normal.ts";
import { describeFoldings } from "./describe-foldings.ts";
import type { Folding, Foldings } from "./folding.ts";
import { type ChosenFolding, foldedScales, type FoldedScales, foldTensor } from "./folded-scales.ts";
import { tieFactors } from "./tied-factors.ts";

const CASES = readdirSync(FORWARD)
  .filter((name) => name.endsWith(".json"))
  .map((name) => name.slice(0, -".json".length));

const kernels = await loadKernels();

/** Of rounding to F32 in other places. */
const TOLERANCE = 1e-4;

function foldingsOf({ description, sources }: LoadedCheckpoint): Foldings {
  return describeFoldings({ description, tensors: sources });
}

/** Factors exp(N(0, 0.5)) for all foldings, tied where they must be. */
function randomFactors(foldings: readonly Folding[]): ChosenFolding[] {
  return foldings.map((folding, index) => {
    const free = randomNormal(folding.columns, index).map((value) => Math.exp(value / 2));
    return { folding, factors: tieFactors(folding, Float32Array.from(free)) };
  });
}

function folded(loaded: LoadedCheckpoint, scales: FoldedScales): LoadedCheckpoint {
  return { ...loaded, tensors: loaded.tensors.map((tensor) => foldTensor(tensor, scales)) };
}

function relativeError(actual: Float32Array, expected: Float32Array): number {
  const size = (values: Float32Array): number => Math.hypot(...values);
  return size(actual.map((value, index) => value - expected[index]!)) / size(expected);
}

describe.each(CASES)("%s", (name) => {
  it("computes the same with factors in all of its foldings", async () => {
    const given = forwardCase(name);
    const loaded = await loadCase(given);
    const { foldings } = foldingsOf(loaded);
    expect(foldings.length).toBeGreaterThan(0);
    const scales = foldedScales(randomFactors(foldings));
    const run = async (model: LoadedCheckpoint): Promise<Float32Array> =>
      (await runCase({ loaded: model, tokens: given.tokens, kernels })).output;
    const expected = await run(loaded);
    const changed = folded(loaded, scales);
    expect(
      changed.tensors.filter((tensor, index) => tensor !== loaded.tensors[index]).length,
    ).toBeGreaterThan(0);
    expect(relativeError(await run(changed), expected)).toBeLessThan(TOLERANCE);
  });
});
