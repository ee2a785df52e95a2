import { readdirSync } from "node:fs";
import { kernelInfo, loadKernels } from "@quern/kernels";
import { describe, expect, it } from "vitest";
import type { ForwardKernels } from "./kernels.ts";
import { referenceKernels } from "../testing/reference-kernels.ts";
import { FORWARD, forwardCase, loadCase, runCase } from "../testing/forward-case.ts";

const CASES = readdirSync(FORWARD)
  .filter((name) => name.endsWith(".json"))
  .map((name) => name.slice(0, -".json".length));

/** Of float32 arithmetic in another order; measured: up to 2e-5. */
const TOLERANCE = 1e-4;

/** The formulas, and the fastest kernels of each kind that works here. */
const KERNELS: readonly (readonly [name: string, load: () => Promise<ForwardKernels>])[] = [
  ["formulas", () => Promise.resolve(referenceKernels)],
  ...(await kernelInfo())
    .filter(({ failure }) => failure === undefined)
    .map(({ backend }) => [`${backend} kernels`, () => loadKernels({ backend })] as const),
];

function normOf(values: Float32Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
}

describe.each(CASES)("%s", (name) => {
  const expected = forwardCase(name);

  it.each(KERNELS)("computes what transformers computes in float32, with %s", async (_, load) => {
    const { width, tokens, positions, columns, values, norms } = expected;
    const { output, hidden } = await runCase({
      loaded: await loadCase(expected),
      tokens,
      kernels: await load(),
    });
    // The last hidden states of transformers have gone through the last norm.
    for (const [layer, state] of hidden.slice(0, -1).entries()) {
      const error = normOf(state) / expected.hidden_norms[layer]! - 1;
      expect(Math.abs(error), `before block ${layer}`).toBeLessThan(TOLERANCE);
    }
    expect(output.length).toBe(tokens.length * width);
    const rows = tokens.map((_, position) => output.subarray(position * width, (position + 1) * width));
    for (const [position, row] of rows.entries()) {
      expect(Math.abs(normOf(row) / norms[position]! - 1), `norm at ${position}`).toBeLessThan(TOLERANCE);
    }
    for (const [index, position] of positions.entries()) {
      const typical = norms[position]! / Math.sqrt(width);
      for (const [place, column] of columns.entries()) {
        const error = (rows[position]![column]! - values[index]![place]!) / typical;
        expect(Math.abs(error), `position ${position}, element ${column}`).toBeLessThan(TOLERANCE);
      }
    }
  });
});
