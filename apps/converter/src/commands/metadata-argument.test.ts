import { InvalidArgumentError } from "commander";
import { describe, expect, it } from "vitest";
import { metadataArgument } from "./metadata-argument.ts";

describe("metadataArgument", () => {
  it.each([
    ["general.name=string:My = Model: the best", "general.name", "string", "My = Model: the best"],
    ["general.name=string:", "general.name", "string", ""],
    ["llama.context_length=uint32:8192", "llama.context_length", "uint32", 8192],
    ["x=int8:-128", "x", "int8", -128],
    ["x=int64:-9223372036854775808", "x", "int64", -(2n ** 63n)],
    ["x=float32:0.1", "x", "float32", Math.fround(0.1)],
    ["x=float64:1e-5", "x", "float64", 1e-5],
    ["tokenizer.ggml.add_bos_token=bool:false", "tokenizer.ggml.add_bos_token", "bool", false],
  ])("reads %s", (text, key, type, value) => {
    expect(metadataArgument(text, undefined)).toEqual(new Map([[key, { type, value }]]));
  });

  it("adds to what was given before, and takes the last value for a key", () => {
    const first = metadataArgument("a=uint8:1", undefined);
    const second = metadataArgument("b=bool:true", first);
    expect([...metadataArgument("a=uint8:2", second)]).toEqual([
      ["a", { type: "uint8", value: 2 }],
      ["b", { type: "bool", value: true }],
    ]);
    expect(first.size).toBe(1);
  });

  it.each([
    "general.name",
    "general.name=My Model",
    "=string:x",
    "x=text:y",
    "x=toString:y",
    "x=uint8:256",
    "x=uint8:-1",
    "x=uint8:1.5",
    "x=int64:9223372036854775808",
    "x=uint32:0x10",
    "x=float32:",
    "x=float64:NaN",
    "x=bool:1",
  ])("refuses %s", (text) => {
    expect(() => metadataArgument(text, undefined)).toThrow(InvalidArgumentError);
  });
});
