import { expect, it } from "vitest";
import { ggufFileName } from "./index.ts";

// Expected names: gguf-py/tests/test_metadata.py and utility.py, `naming_convention`.
it.each([
  [{}, "ggml-model.gguf"],
  [{ modelName: "Model" }, "Model.gguf"],
  [{ modelName: " My Model/v1 ", outputType: "q8_0" }, "My-Model-v1-Q8_0.gguf"],
  [
    {
      modelName: "x",
      baseName: "Mixtral",
      sizeLabel: "8x7B",
      fineTune: "Instruct chat",
      version: "v0.1",
      outputType: "Q4_K_M",
    },
    "Mixtral-8x7B-Instruct-chat-v0.1-Q4_K_M.gguf",
  ],
  [{ baseName: "Phi-3", kind: "vocab" as const }, "Phi-3-vocab.gguf"],
])("%j is called %s", (params, expected) => {
  expect(ggufFileName(params)).toBe(expected);
});
