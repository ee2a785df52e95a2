import { ggufString, type GgufMetadata } from "@quern/gguf";
import { describe, expect, it } from "vitest";
import { outputName } from "./output-name.ts";

const metadata = (pairs: Record<string, string>): GgufMetadata =>
  new Map(Object.entries(pairs).map(([key, value]) => [`general.${key}`, ggufString(value)]));

describe("outputName", () => {
  it("follows the GGUF naming convention", () => {
    const parts = {
      basename: "Tiny Llama",
      size_label: "1.1B",
      finetune: "Chat",
      version: "v0.3",
      name: "unused",
    };
    expect(outputName({ metadata: metadata(parts), type: "q4_k_m" })).toBe(
      "Tiny-Llama-1.1B-Chat-v0.3-Q4_K_M.gguf",
    );
    expect(outputName({ metadata: metadata({ name: "My model" }), type: "F16" })).toBe("My-model-F16.gguf");
    expect(outputName({ metadata: metadata({}), type: "F16" })).toBe("ggml-model-F16.gguf");
  });

  it("never leaves the folder", () => {
    const name = outputName({ metadata: metadata({ name: "../../a\\b", version: "../x" }), type: "F16" });
    expect(name).not.toMatch(/[/\\]/);
  });
});
