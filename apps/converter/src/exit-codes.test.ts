import { readdirSync, readFileSync } from "node:fs";
import { join, sep } from "node:path";
import { QuernError } from "@quern/tensor";
import { expect, it } from "vitest";
import { exitCodeOf, exitCodes, isClassified } from "./exit-codes.ts";
import { repositoryPath } from "./testing/run-cli.ts";

/** Codes that the sources of all packages, without what only tests use, give to `new QuernError` outright. */
function thrownCodes(): Set<string> {
  const codes = new Set<string>();
  for (const packageName of readdirSync(repositoryPath("packages"))) {
    const sources = join(repositoryPath("packages"), packageName, "src");
    for (const file of readdirSync(sources, { recursive: true, encoding: "utf8" })) {
      if (file.endsWith(".ts") && !file.endsWith(".test.ts") && !file.split(sep).includes("testing")) {
        for (const [, code] of readFileSync(join(sources, file), "utf8").matchAll(
          /QuernError\(\s*"([A-Z0-9_]+)"/g,
        )) {
          codes.add(code!);
        }
      }
    }
  }
  return codes;
}

it("classifies every code that the packages throw", () => {
  const codes = thrownCodes();
  expect(codes.size).toBeGreaterThan(20);
  expect([...codes].filter((code) => !isClassified(code))).toEqual([]);
});

it.each([
  ["USAGE_OUTPUT", exitCodes.usage],
  ["SAFETENSORS_TRUNCATED", exitCodes.input],
  ["GGUF_NOT_GGUF", exitCodes.input],
  ["CHECKPOINT_NOT_FOUND", exitCodes.input],
  ["SOURCE_READ_FAILED", exitCodes.input],
  ["OUTPUT_EXISTS", exitCodes.output],
  ["VERIFICATION_FAILED", exitCodes.mismatch],
  ["INTERRUPTED", exitCodes.interrupted],
  ["KERNEL_ARGUMENT", exitCodes.failure],
  ["NEVER_HEARD_OF", exitCodes.failure],
])("gives %s the exit code %i", (code, exitCode) => {
  expect(exitCodeOf(new QuernError(code, ""))).toBe(exitCode);
});

it("knows a full disk by its errno", () => {
  expect(exitCodeOf(Object.assign(new Error("no space"), { code: "ENOSPC" }))).toBe(exitCodes.output);
  expect(exitCodeOf(new Error("?"))).toBe(exitCodes.failure);
});
