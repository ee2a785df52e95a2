import { QuernError } from "@quern/tensor";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Manifest } from "../manifest.ts";
import { manifests } from "../testing/manifests.ts";
import { manifestText, parseManifest } from "./parse-manifest.ts";

const HASH = "0".repeat(64);

const example: Manifest = {
  tool: { name: "quern", version: "1.2.3" },
  source: {
    kind: "checkpoint",
    name: "demo",
    files: [{ name: "model.safetensors", bytes: 9, headerSha256: HASH }],
  },
  recipe: { container: "gguf", type: "Q4_K_M", flavour: "quantizer", options: {} },
  files: [
    { name: "demo-00001-of-00002.gguf", bytes: 64, sha256: HASH, header: { bytes: 64, sha256: HASH } },
    { name: "demo-00002-of-00002.gguf", bytes: 96, sha256: HASH, header: { bytes: 32, sha256: HASH } },
  ],
  tensors: [
    { name: "a", file: 1, type: "F32", shape: [4], offset: 32, bytes: 16, sha256: HASH },
    { name: "b", file: 1, type: "F32", shape: [4], offset: 64, bytes: 16, sha256: HASH },
  ],
};

/** The refusal of the example with another value at a place such as "tensors.0.offset". */
function refusalOf(place: string, value: unknown): QuernError {
  const changed = JSON.parse(manifestText(example)) as Record<string, unknown>;
  const keys = place.split(".");
  const last = keys.pop()!;
  const parent = keys.reduce((inner, key) => inner[key] as Record<string, unknown>, changed);
  if (value === undefined) delete parent[last];
  else parent[last] = value;
  return problemIn(JSON.stringify(changed));
}

/** "read", or the code of the refusal. */
function fateOf(text: string): unknown {
  try {
    parseManifest({ text, file: "any" });
    return "read";
  } catch (error) {
    return error instanceof QuernError ? error.code : error;
  }
}

function problemIn(text: string): QuernError {
  try {
    parseManifest({ text, file: "some.manifest.json" });
  } catch (error) {
    if (error instanceof QuernError) return error;
    throw error;
  }
  throw new Error("expected a refusal");
}

describe("manifests", () => {
  it("are what was written", () => {
    fc.assert(
      fc.property(manifests, (manifest) => {
        const text = manifestText(manifest);
        const read = parseManifest({ text, file: "any" });
        expect(read).toEqual(manifest);
        expect(manifestText(read)).toBe(text);
      }),
      { numRuns: 200 },
    );
  });

  it("are the same text in whichever order they were put together", () => {
    const reversed = Object.fromEntries(Object.entries(example).reverse()) as unknown as Manifest;
    expect(manifestText(reversed)).toBe(manifestText(example));
  });

  it.each([
    ["format", "quern-report", "format"],
    ["version", 2, "version"],
    ["tool.version", undefined, "tool.version"],
    ["tool.machine", "mine", "tool.machine"],
    ["source.commit", "main", "source.commit"],
    ["recipe.container", "zip", "recipe.container"],
    ["recipe.flavour", "baker", "recipe.flavour"],
    ["recipe.options", { threads: 3 }, "recipe.options.threads"],
    ["files", [], "files"],
    ["files.0.name", "../up.gguf", "files[0].name"],
    ["files.0.name", "/etc/passwd", "files[0].name"],
    ["files.0.name", "C:\\model.gguf", "files[0].name"],
    ["files.0.name", "a//b", "files[0].name"],
    ["files.0.name", "nul\0", "files[0].name"],
    ["files.0.name", "demo-00002-of-00002.gguf", "files[1].name"],
    ["files.0.sha256", HASH.slice(1), "files[0].sha256"],
    ["files.0.bytes", -1, "files[0].bytes"],
    ["files.0.bytes", 2 ** 60, "files[0].bytes"],
    ["files.0.header.bytes", 65, "files[0].header.bytes"],
    ["tensors.0.file", 2, "tensors[0].file"],
    ["tensors.1.file", 0, "tensors[1].file"],
    ["tensors.0.offset", 31, "tensors[0].offset"],
    ["tensors.1.offset", 47, "tensors[1].offset"],
    ["tensors.1.bytes", 33, "tensors[1].bytes"],
    ["tensors.1.name", "a", "tensors[1].name"],
    ["tensors.0.shape", ["4"], "tensors[0].shape[0]"],
    ["tensors.0.error", "small", "tensors[0].error"],
  ])("are refused with %s = %j", (place, value, key) => {
    const { code, message, subject } = refusalOf(place, value);
    expect(code).toBe("MANIFEST_INVALID");
    expect(subject).toEqual({ file: "some.manifest.json", key });
    expect(message).toContain(`some.manifest.json: ${key}: `);
  });

  it.each(["", "{", "[]", "null", "7", '"text"', "[".repeat(100_000)])(
    "are refused for the text %j",
    (text) => {
      expect(problemIn(text).code).toBe("MANIFEST_INVALID");
    },
  );

  it("are read or refused, whatever is changed in their text", () => {
    const text = manifestText(example);
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.string({ maxLength: 3 }), (at, piece) => {
        const changed = `${text.slice(0, at)}${piece}${text.slice(at + 1)}`;
        expect(["read", "MANIFEST_INVALID"]).toContain(fateOf(changed));
      }),
      { numRuns: 500 },
    );
  });
});
