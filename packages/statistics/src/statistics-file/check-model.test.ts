import { describe, expect, it } from "vitest";
import { sampleDescription } from "../testing/statistics.ts";
import { checkStatisticsModel } from "./check-model.ts";
import type { StatisticsModel } from "./description.ts";

const { model } = sampleDescription();
const statistics = { file: "stats.safetensors", model };

describe("checkStatisticsModel", () => {
  it("takes the model that was run, whatever it is called", () => {
    expect(() => checkStatisticsModel({ statistics, model: { ...model, name: "copy" } })).not.toThrow();
  });

  it("compares tensors where there is no identity", () => {
    const { name, architecture, tensors } = model;
    const one = { name, architecture };
    expect(() => checkStatisticsModel({ statistics, model: { ...one, tensors } })).not.toThrow();
    expect(() => checkStatisticsModel({ statistics, model: { ...one, tensors: [] } })).toThrow(
      expect.objectContaining({ code: "STATISTICS_OTHER_MODEL" }) as Error,
    );
  });

  const [first, last] = model.tensors;
  const others: [string, Partial<StatisticsModel>, string | undefined, string][] = [
    ["architecture", { architecture: "qwen3" }, undefined, "its architecture is llama, not qwen3"],
    [
      "shape",
      { tensors: [first!, { ...last!, shape: [33, 6] }] },
      "output.weight",
      `there "output.weight" is [32, 6], here [33, 6]`,
    ],
    ["tensor less", { tensors: [last!] }, "blk.0.attn_q.weight", "is [8, 5], here missing"],
    [
      "tensor more",
      { tensors: [...model.tensors, { name: "a", shape: [1, 1] }] },
      "a",
      `there "a" is missing, here [1]`,
    ],
    [
      "identity alone",
      { tensors: [{ ...first!, shape: [1, 8, 5] }, last!] },
      undefined,
      "the identities differ",
    ],
  ];
  it.each(others)("refuses a model with another %s", (_, changes, tensor, message) => {
    const other = { ...model, name: "other", identity: "0", ...changes };
    expect(() => checkStatisticsModel({ statistics, model: other })).toThrow(
      expect.objectContaining({
        code: "STATISTICS_OTHER_MODEL",
        subject: { file: "stats.safetensors", ...(tensor === undefined ? {} : { tensor }) },
        message: expect.stringContaining(message) as string,
      }) as Error,
    );
  });
});
