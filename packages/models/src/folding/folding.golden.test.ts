import { readdirSync } from "node:fs";
import { loadKernels } from "@quern/kernels";
import { decodeElements, type ElementType, encodeElements } from "@quern/tensor";
import { describe, expect, it } from "vitest";
import { evaluateRows } from "../expressions/evaluate.ts";
import { source } from "../expressions/operations/source.ts";
import { loadParameters } from "../forward/load-parameters.ts";
import type { ParameterSet } from "../forward/parameters.ts";
import { planForward } from "../forward/plan/plan-forward.ts";
import { FORWARD, forwardCase, type LoadedCheckpoint, loadCase, runCase } from "../testing/forward-case.ts";
import { randomNormal } from "../testing/random-normal.ts";
import { describeFoldings } from "./describe-foldings.ts";
import { type ChosenFolding, foldedScales } from "./folded-scales.ts";
import { fitFactors } from "./fit-factors.ts";
import type { FoldedPart, Folding } from "./folding.ts";
import { foldingError } from "./folding-error.ts";
import { tieFactors } from "./tied-factors.ts";
import { foldExpression, foldTensor, type WeightChanges } from "./weight-changes.ts";

type Given = Parameters<typeof loadCase>[0] & { readonly tokens: number[] };

/** All that transformers has computed, and experts that the checkpoint itself has merged. */
const CASES: readonly (readonly [name: string, given: Given])[] = [
  ...readdirSync(FORWARD)
    .filter((file) => file.endsWith(".json"))
    .map((file) => file.slice(0, -".json".length))
    .map((name) => [name, forwardCase(name)] as const),
  [
    "qwen3moe-merged",
    {
      set: "converter",
      checkpoint: "qwen3moe-merged",
      edits: { num_experts_per_tok: 2 },
      tokens: [3, 1, 4, 1, 5, 9, 2, 6],
    },
  ],
];

const kernels = await loadKernels();

/** Of rounding to F32 in other places. */
const TOLERANCE = 1e-4;

function foldingsOf({ description, sources }: LoadedCheckpoint): readonly Folding[] {
  return describeFoldings({ description, tensors: sources }).foldings;
}

/** Factors exp(N(0, 0.5)), tied where they must be. */
function randomFactors(foldings: readonly Folding[]): ChosenFolding[] {
  return foldings.map((folding, index) => {
    const free = randomNormal(folding.columns, index).map((value) => Math.exp(value / 2));
    return { folding, factors: tieFactors(folding, Float32Array.from(free)) };
  });
}

function relativeError(actual: Float32Array, expected: Float32Array): number {
  const size = (values: Float32Array): number =>
    Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0));
  return size(actual.map((value, index) => value - expected[index]!)) / size(expected);
}

async function parametersOf(
  { tensors, reader }: LoadedCheckpoint,
  names: readonly string[],
  scales: WeightChanges = new Map(),
): Promise<ParameterSet> {
  const folded = new Map(tensors.map((tensor) => [tensor.name, foldTensor(tensor, scales)]));
  return loadParameters({ tensors: folded, reader, names });
}

describe.each(CASES)("%s", (_, given) => {
  it.each<ElementType>(["BF16", "F16"])("loses nothing of norms that are stored as %s", async (type) => {
    const loaded = await loadCase(given);
    const { reader, sources } = loaded;
    const norms = foldingsOf(loaded).filter(({ divides }) => divides === "norm");
    for (const { folding, factors } of randomFactors(norms)) {
      const [{ tensor, offset }] = folding.divided as [FoldedPart];
      const bytes = await reader.readRows(tensor, 0, 1);
      const weight = decodeElements({ type: sources.get(tensor)!.type, bytes });
      const fitted = fitFactors({ factors, weight, offset, type });
      const scales = foldedScales([{ folding, factors: fitted }]);
      const expression = foldExpression(source(tensor), scales);
      const divided = decodeElements({
        type: "F32",
        bytes: await evaluateRows(expression, { reader, firstRow: 0, rows: 1 }),
      });
      const stored = decodeElements({ type, bytes: encodeElements({ type, values: divided }) });
      for (const [column, value] of stored.entries()) {
        const whole = weight[column]! + offset;
        // Weights that cannot be divided are as well rounded without folding.
        if (fitted[column] === 1) continue;
        const error = (value + offset) * fitted[column]! - whole;
        expect(Math.abs(error)).toBeLessThanOrEqual(2 ** -22 * (Math.abs(whole) + offset * fitted[column]!));
      }
      expect(fitted.some((factor) => factor !== 1)).toBe(true);
    }
  });

  it("computes the same with factors in all of its foldings", async () => {
    const loaded = await loadCase(given);
    const foldings = foldingsOf(loaded);
    expect(foldings.length).toBeGreaterThan(0);
    const scales = foldedScales(randomFactors(foldings));
    const tensors = loaded.tensors.map((tensor) => foldTensor(tensor, scales));
    const { tokens } = given;
    const expected = await runCase({ loaded, tokens, kernels });
    const actual = await runCase({ loaded: { ...loaded, tensors }, tokens, kernels });
    expect(relativeError(actual.output, expected.output)).toBeLessThan(TOLERANCE);
  });

  it("shows when any part of a folding is left out", async () => {
    const loaded = await loadCase(given);
    const [graph] = planForward(loaded.model).blocks;
    // Not every expert is sure to be used, here and below.
    const foldings = foldingsOf(loaded).filter(
      ({ layer, readers }) => layer === 0 && readers.every(({ matrix }) => matrix === undefined),
    );
    const original = await parametersOf(loaded, graph!.tensors);
    const { embedding } = planForward(loaded.model);
    const tokens = 24;
    const hidden = Float32Array.from(randomNormal(tokens * embedding.width, 99));
    const errorOf = async (chosen: ChosenFolding[]): Promise<number> => {
      const folded = await parametersOf(loaded, graph!.tensors, foldedScales(chosen));
      return foldingError({ graph: graph!, kernels, original, folded, hidden, tokens });
    };
    for (const { folding, factors } of randomFactors(foldings)) {
      expect(await errorOf([{ folding, factors }]), folding.name).toBeLessThan(TOLERANCE);
      const { multiplied, divided } = folding;
      const always = multiplied.filter(({ tensor }) => !/\.experts\.\d/.test(tensor));
      for (const part of always) {
        const wrong = { ...folding, multiplied: multiplied.filter((other) => other !== part) };
        const error = await errorOf([{ folding: wrong, factors }]);
        expect(error, `${folding.name} without ${part.tensor}`).toBeGreaterThan(10 * TOLERANCE);
      }
      for (const part of divided) {
        const wrong = { ...folding, divided: divided.filter((other) => other !== part) };
        const error = await errorOf([{ folding: wrong, factors }]);
        expect(error, `${folding.name} without ${part.tensor}`).toBeGreaterThan(10 * TOLERANCE);
      }
    }
  });
});
