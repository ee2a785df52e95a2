import { describe, expect, it } from "vitest";
import { printable, shorten, shortenMiddle } from "./printable.ts";

describe("printable", () => {
  it("shows line breaks and control characters as escapes", () => {
    expect(printable("a\nb\tc\r")).toBe("a\\nb\\tc\\r");
    expect(printable("\u001b[2Jgone\u0007")).toBe("\\u{1b}[2Jgone\\u{7}");
    expect(printable("\u009b31m")).toBe("\\u{9b}31m");
  });

  it("shows characters that reorder or hide text", () => {
    expect(printable("gguf\u202Efugg")).toBe("gguf\\u{202e}fugg");
    expect(printable("a\u200Bb\uFEFF")).toBe("a\\u{200b}b\\u{feff}");
  });

  it("leaves letters of any script, spaces and emoji alone", () => {
    expect(printable("Ġhello 世界 ▁мир 🙂")).toBe("Ġhello 世界 ▁мир 🙂");
  });
});

describe("shorten", () => {
  it("keeps what fits", () => {
    expect(shorten("abc", 3)).toBe("abc");
    expect(shorten("", 3)).toBe("");
  });

  it("cuts by code points, never through one", () => {
    expect(shorten("abcd", 3)).toBe("ab…");
    expect(shorten("🙂🙂🙂🙂", 3)).toBe("🙂🙂…");
  });
});

it("shortens in the middle", () => {
  expect(shortenMiddle("blk.0.attn_q.weight", 19)).toBe("blk.0.attn_q.weight");
  expect(shortenMiddle("model.layers.0.weight", 11)).toBe("model…eight");
});
