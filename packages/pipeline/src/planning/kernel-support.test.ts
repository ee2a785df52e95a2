import type { ModelTensor } from "@quern/models";
import { describe, expect, it } from "vitest";
import { checkSourceTypes } from "./kernel-support.ts";

const tensor: ModelTensor = {
  name: "blk.0.ffn_up.weight",
  role: "up",
  shape: [2, 32],
  sourceType: "I16",
  expression: { operation: "source", name: "model.layers.0.mlp.up_proj.weight" },
  storage: "follow",
};

describe("checkSourceTypes", () => {
  it("refuses weights that are no floating-point numbers", () => {
    expect(() => checkSourceTypes([tensor])).toThrow(
      expect.objectContaining({ code: "TENSOR_TYPE_UNSUPPORTED", subject: { tensor: tensor.name } }),
    );
    expect(() => checkSourceTypes([{ ...tensor, sourceType: "BF16" }])).not.toThrow();
  });

  it("lets blocks pass that are copied", () => {
    expect(() =>
      checkSourceTypes([{ ...tensor, sourceType: "U8", storage: { packed: "MXFP4" } }]),
    ).not.toThrow();
  });
});
