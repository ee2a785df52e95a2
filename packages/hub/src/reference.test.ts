import { describe, expect, it } from "vitest";
import { hasHubPrefix, looksLikeRepository, parseHubReference } from "./reference.ts";

describe("references", () => {
  it.each([
    ["hf:org/name", { id: "org/name" }],
    ["org/name", { id: "org/name" }],
    ["hf:gpt2", { id: "gpt2" }],
    ["hf:org/Name-1.5_b@main", { id: "org/Name-1.5_b", revision: "main" }],
    ["hf:org/name@refs/pr/1", { id: "org/name", revision: "refs/pr/1" }],
    ["org/name@fix#12(ä)", { id: "org/name", revision: "fix#12(ä)" }],
    ["hf:org/name@v1@next", { id: "org/name", revision: "v1@next" }],
  ])("%s", (text, reference) => {
    expect(parseHubReference(text)).toEqual(reference);
  });

  it.each([
    "hf:",
    "hf:org/",
    "hf:org/name/file",
    "hf:../name",
    "hf:org/..",
    "hf:org/na me",
    "hf:org/name@",
    "hf:org/name@../x",
    "hf:org/name@a?b",
    "hf:org/name@/etc",
    "hf:org/name@a//b",
    "hf:org/name@a/",
    "hf:org/name@a/.b",
    "hf:org/name@a\\b",
    "hf:org/name@a b",
    "hf:org/name@a\nb",
    "hf:org/name@a.lock",
    "hf:org/name@a@{1}",
    `hf:org/${"n".repeat(100)}`,
  ])("refuses %s", (text) => {
    expect(() => parseHubReference(text)).toThrow(expect.objectContaining({ code: "HUB_REFERENCE_INVALID" }));
  });

  it.each([
    ["https://huggingface.co/org/name", "hf:org/name"],
    ["https://huggingface.co/org/name/", "hf:org/name"],
    ["https://huggingface.co/org/name/tree/feature%2Fx", "hf:org/name@feature/x"],
    ["HTTP://me:hf_secret@hub.example/org/name?token=hf_secret", "hf:org/name"],
    ["https://huggingface.co/", "hf:<owner>/<name> or hf:<owner>/<name>@<branch, tag or commit>"],
  ])("says how to name what is at %s", (text, named) => {
    expect(() => parseHubReference(text)).toThrow(
      expect.objectContaining({
        code: "HUB_REFERENCE_INVALID",
        message: `Repositories of the Hub are not named by web addresses: expected ${named}`,
      }),
    );
  });

  it("tells names from paths", () => {
    const texts = ["org/name", "org/name@v1", "name", "./name", "../a/b", "/a/b", "a/b/c", "a\\b"];
    expect(texts.filter(looksLikeRepository)).toEqual(["org/name", "org/name@v1"]);
    expect(hasHubPrefix("hf:org/name")).toBe(true);
    expect(hasHubPrefix("org/name")).toBe(false);
  });
});
