import { QuernError } from "@quern/tensor";
import { describe, expect, it } from "vitest";
import { describeError, errorRecord } from "./error-report.ts";
import { createStyle } from "./format/style.ts";

const style = createStyle(false);

describe("describeError", () => {
  it("gives message, code, subject and cause", () => {
    const error = new QuernError("SAFETENSORS_TRUNCATED", "model.safetensors: the file is cut short", {
      subject: { file: "model.safetensors", tensor: "model.norm.weight", offset: 1_234_567 },
      cause: new Error("read 10 of 20 bytes"),
    });
    expect(describeError({ error, style, debug: false })).toBe(
      [
        "error: model.safetensors: the file is cut short",
        "  code    SAFETENSORS_TRUNCATED",
        "  file    model.safetensors",
        "  tensor  model.norm.weight",
        "  offset  1,234,567",
        "  cause   read 10 of 20 bytes",
        "",
      ].join("\n"),
    );
  });

  it("gives a hint where there is something to do", () => {
    const error = new QuernError("OUTPUT_EXISTS", "a.gguf: the file exists already", {
      subject: { file: "a.gguf" },
    });
    expect(describeError({ error, style, debug: false })).toContain("  hint  Pass --force to replace it");
  });

  it("never writes control characters that a file brought", () => {
    const error = new QuernError("GGUF_X", "key \u001b[2J", { subject: { key: "\u0007" } });
    const text = describeError({ error, style, debug: true });
    expect(text).toContain("key \\u{1b}[2J");
    expect(text).not.toContain("\u001b");
    expect(text).not.toContain("\u0007");
  });

  it("shows stacks only for debugging", () => {
    const error = new Error("oops", { cause: new Error("deep down") });
    const brief = describeError({ error, style, debug: false });
    expect(brief).toMatch(/^error: oops\n {2}hint +.*--debug/);
    expect(brief).not.toContain("at ");
    const long = describeError({ error, style, debug: true });
    expect(long).toContain("error-report.test.ts");
    expect(long).toContain("caused by: Error: deep down");
  });

  it("takes whatever is thrown", () => {
    expect(describeError({ error: "just text", style, debug: false })).toContain("error: just text");
    expect(describeError({ error: undefined, style, debug: true })).toContain("error: undefined");
  });
});

it("reports errors as plain data", () => {
  const error = new QuernError("MODEL_UNSUPPORTED", "what?", { subject: { key: "architectures" } });
  expect(errorRecord(error)).toEqual({
    type: "error",
    code: "MODEL_UNSUPPORTED",
    message: "what?",
    subject: { key: "architectures" },
    exitCode: 3,
  });
  expect(errorRecord(new TypeError("oops"))).toMatchObject({ code: "UNEXPECTED", exitCode: 1 });
});
