import { describe, expect, it } from "vitest";
import { parseWeightedFile } from "./source-list.ts";

describe("file:weight", () => {
  it.each([
    ["a.txt", "a.txt", 1],
    ["a.txt:3", "a.txt", 3],
    ["a.txt:0.5", "a.txt", 0.5],
    ["a.txt:.5", "a.txt", 0.5],
    ["C:\\texts\\a.txt", "C:\\texts\\a.txt", 1],
    ["C:\\texts\\a.txt:2", "C:\\texts\\a.txt", 2],
    ["a:b.txt", "a:b.txt", 1],
  ])("%s", (text, path, weight) => {
    expect(parseWeightedFile(text)).toEqual({ path, weight });
  });

  it("needs a weight above 0", () => {
    expect(() => parseWeightedFile("a.txt:0")).toThrow(
      expect.objectContaining({ code: "CORPUS_OPTION_INVALID" }),
    );
  });
});
