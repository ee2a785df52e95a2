import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { countParameters, sizeLabel } from "./size-label.ts";

interface ExpectedLabel {
  readonly total: number;
  readonly shared: number;
  readonly expert: number;
  readonly expert_count: number;
  readonly label: string;
}

const golden = new URL("../../../../fixtures/golden/metadata-labels.json", import.meta.url);
const { size_label } = JSON.parse(readFileSync(golden, "utf8")) as { size_label: ExpectedLabel[] };

describe("size label", () => {
  it.each(size_label)("$label of $total", ({ total, shared, expert, expert_count, label }) => {
    expect(sizeLabel({ total, shared, expert, expertCount: expert_count })).toBe(label);
  });

  it.each([
    // What Python's round and format answer: ties go to the even digit, near-ties to the nearer one.
    [10_500_000, "10M"],
    [11_500_000, "12M"],
    [2_250_000, "2.2M"],
    [2_350_000, "2.4M"],
    [1_250_000, "1.2M"],
    [125, "0.12K"],
    [375, "0.38K"],
    [0, "0.00K"],
  ])("rounds %d to %s", (total, label) => {
    expect(sizeLabel({ total, shared: total, expert: 0, expertCount: 0 })).toBe(label);
  });
});

describe("parameter count", () => {
  it("takes stacked tensors of experts apart", () => {
    const tensors = [
      { name: "token_embd.weight", shape: [10, 4] },
      { name: "blk.0.ffn_up_exps.weight", shape: [8, 6, 4] },
      { name: "blk.0.ffn_gate_exps.weight", shape: [8, 6, 4] },
      { name: "blk.0.ffn_up_exps.bias", shape: [8, 6] },
    ];
    expect(countParameters(tensors)).toEqual({
      total: 40 + 192 + 192 + 48,
      shared: 40 + 48,
      expert: 48,
      expertCount: 8,
    });
  });
});
