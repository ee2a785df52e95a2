import { ggufUint32 } from "@quern/gguf";
import { describe, expect, it } from "vitest";
import { fileTypeOf } from "./file-type.ts";

function typeOf(types: readonly string[]): number {
  return fileTypeOf(
    new Map(),
    types.map((type, index) => ({ name: `t${index}`, type, ne: [256] })),
  );
}

describe("fileTypeOf", () => {
  it("takes the word of the metadata", () => {
    const tensors = [{ name: "a", type: "F16", ne: [1] }];
    expect(fileTypeOf(new Map([["general.file_type", ggufUint32(15)]]), tensors)).toBe(15);
  });

  // 1024 says that it is a guess.
  it.each([
    [[], 0],
    [["F32", "Q4_K", "Q4_K"], 15],
    [["F32", "Q3_K", "Q3_K", "F32"], 12],
    [["Q5_K"], 17],
    [["IQ2_S"], 28],
    [["IQ3_S"], 26],
    [["Q8_0", "F16"], 7],
    [["NVFP4"], 39],
    [["MXFP4"], 0],
    [["I8"], 0],
  ] as const)("guesses by the first of the most frequent types: %j", (types, expected) => {
    expect(typeOf(types)).toBe(1024 + expected);
  });
});
