import { readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { FORWARD, forwardCase, loadCase, runCase } from "../testing/forward-case.ts";

const CASES = readdirSync(FORWARD)
  .filter((name) => name.endsWith(".json"))
  .map((name) => name.slice(0, -".json".length));

/** Of float32 arithmetic in another order; measured: up to 2e-5. */
const TOLERANCE = 1e-4;

function normOf(values: Float32Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
}

describe.each(CASES)("%s", (name) => {
  const expected = forwardCase(name);

  it("computes what transformers computes in float32", async () => {
    const { width, tokens, positions, columns, values, norms } = expected;
    const { output, hidden } = await runCase({ loaded: await loadCase(expected), tokens });
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
