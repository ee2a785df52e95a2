import { loadKernels } from "@quern/kernels";
import type { ModelDescription, ModelTensor } from "@quern/models";
import { describe, expect, it } from "vitest";
import type { PlannedTensor } from "../plan.ts";
import type { FileContents } from "./file-contents.ts";
import { checkKernelTypes } from "./kernel-support.ts";

const kernels = await loadKernels({ backend: "wasm" });

const tensor: ModelTensor = {
  name: "blk.0.ffn_up.weight",
  role: "up",
  shape: [2, 32],
  sourceType: "BF16",
  expression: { operation: "source", name: "model.layers.0.mlp.up_proj.weight" },
  storage: "follow",
};

function check(model: Partial<ModelTensor>, planned: Partial<PlannedTensor>): void {
  const description: ModelDescription = {
    architecture: "llama",
    tensors: [{ ...tensor, ...model }],
    modules: [],
    warnings: [],
    metadata: () => new Map(),
    computation: () => new Map(),
  };
  const contents: FileContents = {
    type: "Q8_0",
    flavour: "quantizer",
    layouts: [],
    isSplit: false,
    warnings: [],
    tensors: [
      {
        name: tensor.name,
        source: tensor.name,
        type: "Q8_0",
        ne: [32, 2],
        file: 0,
        offset: 0,
        size: 68,
        packed: false,
        requantized: false,
        usesImportance: false,
        ...planned,
      },
    ],
  };
  checkKernelTypes({ kernels, model: description, contents });
}

describe("checkKernelTypes", () => {
  it("refuses weights that are no floating-point numbers, and blocks that nothing reads", () => {
    const unreadable = expect.objectContaining({
      code: "TENSOR_TYPE_UNSUPPORTED",
      subject: { tensor: tensor.name },
    });
    expect(() => check({ sourceType: "I16" }, {})).toThrow(unreadable);
    expect(() => check({ sourceType: "U8", storage: { packed: "Q8_1" } }, {})).toThrow(unreadable);
    expect(() => check({}, {})).not.toThrow();
    expect(() => check({ sourceType: "U8", storage: { packed: "Q4_0" } }, {})).not.toThrow();
  });

  it("refuses types that cannot be written", () => {
    expect(() => check({}, { type: "Q8_1" })).toThrow(
      expect.objectContaining({ code: "RECIPE_UNSUPPORTED" }),
    );
  });

  it("refuses types without the importance that they require", () => {
    const required = expect.objectContaining({
      code: "IMPORTANCE_REQUIRED",
      subject: { tensor: tensor.name },
    });
    expect(() => check({}, { type: "IQ2_XS" })).toThrow(required);
    expect(() => check({}, { type: "IQ2_XS", usesImportance: true })).not.toThrow();
    expect(() => check({}, { type: "IQ2_S" })).not.toThrow();
  });

  it("lets everything pass that is copied", () => {
    expect(() =>
      check({ sourceType: "U8", storage: { packed: "Q8_1" } }, { type: "Q8_1", packed: true }),
    ).not.toThrow();
  });
});
