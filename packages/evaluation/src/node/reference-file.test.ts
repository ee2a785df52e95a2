import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serializeSafetensors } from "safetensors-js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { encodeHeader, type ReferenceHeader, referenceTensors } from "../reference/reference-header.ts";
import { emptyRows, type ReferenceRows } from "../reference/reference-rows.ts";
import { openReference } from "./open-reference.ts";
import { createReferenceFile, planReferenceFile } from "./reference-writer.ts";

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "reference-"));
  path = join(folder, "reference.safetensors");
});
afterEach(() => rm(folder, { recursive: true }));

const header: ReferenceHeader = {
  tool: "quern 1.2.3",
  model: {
    name: "demo",
    architecture: "llama",
    identity: "ab",
    vocabularySize: 100,
    parameters: 1000,
    bytes: 2000,
    types: [{ type: "BF16", bytes: 2000 }],
  },
  vocabulary: "cd",
  rule: { context: 8, score: "half" },
  hash: "ef",
  tokenizer: "demo/tokenizer.json",
  domains: ["a.txt", "b.txt"],
  windows: 3,
  likeliest: 2,
};

const windows = [0, 1, 0].map((domain, window) => ({
  tokens: Int32Array.from({ length: 8 }, (_, token) => 10 * window + token),
  domain,
}));

function rowsOf(window: number): ReferenceRows {
  const rows = emptyRows(3, 2);
  rows.tokens.forEach((_, index) => (rows.tokens[index] = window + index));
  for (const values of [rows.logProbabilities, rows.tailMass, rows.tailLogProbability, rows.right]) {
    values.forEach((_, index) => (values[index] = -window - index / 8));
  }
  return rows;
}

async function write(): Promise<void> {
  const writer = await createReferenceFile({ path, header, windows, replace: false });
  for (const window of [2, 0, 1]) await writer.put(window, rowsOf(window));
  await writer.finish();
}

type Change = (metadata: Record<string, string>) => void;

/** Changes the description in the metadata. */
function edited(edit: (description: Record<string, unknown>) => void): Change {
  return (metadata) => {
    const description = JSON.parse(metadata["reference"]!) as Record<string, unknown>;
    edit(description);
    metadata["reference"] = JSON.stringify(description);
  };
}

describe("a file of a reference", () => {
  it("has what was put there", async () => {
    await write();
    expect((await readFile(path)).length).toBe(planReferenceFile(header).fileSize);
    const reference = await openReference(path);
    expect(reference.header).toEqual(header);
    expect(reference.corpus).toEqual({
      rule: header.rule,
      hash: "ef",
      tokenizer: header.tokenizer,
      domains: header.domains,
      windows,
    });
    for (const window of windows.keys()) expect(await reference.rows(window)).toEqual(rowsOf(window));
    await reference.close();
  });

  /** The same file with other metadata, and tensors of zeros that they ask for. */
  async function changed(change: Change): Promise<void> {
    const metadata = encodeHeader(header);
    change(metadata);
    const tensors = Object.values(referenceTensors(header)).map((info) => ({
      ...info,
      bytes: new Uint8Array(4 * info.shape.reduce((product, size) => product * size, 1)),
    }));
    await writeFile(path, serializeSafetensors({ tensors, metadata }));
  }

  it.each([
    ["another format", (m: Record<string, string>) => void (m["format"] = "pt"), /--save-reference/],
    [
      "another version",
      (m: Record<string, string>) => void (m["version"] = "2"),
      /version is "2": expected "1"/,
    ],
    ["no tool", (m: Record<string, string>) => void delete m["tool"], /no tool/],
    ["no description", (m: Record<string, string>) => void delete m["reference"], /not JSON/],
    ["no object", (m: Record<string, string>) => void (m["reference"] = "3"), /reference is not an object/],
    ["no hash", edited((d) => delete d["hash"]), /reference\.hash is not a text/],
    ["no model", edited((d) => delete d["model"]), /reference\.model is not an object/],
    ["half a window", edited((d) => (d["windows"] = 2.5)), /reference\.windows is not a whole number/],
    ["no windows", edited((d) => (d["windows"] = 0)), /no windows/],
    [
      "more windows",
      edited((d) => (d["windows"] = 1e15)),
      /the tensor "windows.tokens" is I32 \[3, 8\]: expected/,
    ],
    ["names that are none", edited((d) => (d["domains"] = ["a", 1])), /domains is not a list of texts/],
    [
      "types that are none",
      edited((d) => Object.assign(d["model"] as object, { types: {} })),
      /types is not a list/,
    ],
    ["another part", edited((d) => (d["rule"] = { context: 8, score: "third" })), /score is "third"/],
    [
      "other tensors",
      edited((d) => (d["likeliest"] = 3)),
      /"likeliest\.tokens" is I32 \[3, 3, 2\]: expected I32 \[3, 3, 3\]/,
    ],
    ["too many tokens", edited((d) => (d["likeliest"] = 101)), /keep 101 tokens of a vocabulary of 100/],
  ])("is refused with %s", async (_, change, message) => {
    await changed(change);
    await expect(openReference(path)).rejects.toMatchObject({
      code: "EVALUATION_REFERENCE_INVALID",
      message: expect.stringMatching(message),
      subject: { file: path },
    });
  });

  it("is opened when it is whole, whatever the numbers", async () => {
    await changed(() => {});
    const reference = await openReference(path);
    expect(reference.header).toEqual(header);
    await reference.close();
  });

  /** Overwrites the first number of a tensor. */
  async function spoil(name: string, value: Int32Array | Float32Array): Promise<void> {
    await write();
    const bytes = await readFile(path);
    const { offset } = planReferenceFile(header).tensors.get(name)!;
    bytes.set(new Uint8Array(value.buffer), offset);
    await writeFile(path, bytes);
  }

  it.each([
    ["windows.tokens", Int32Array.of(100), /token 100: expected ids from 0 to 99/],
    ["windows.tokens", Int32Array.of(-1), /token -1/],
    ["windows.domain", Int32Array.of(2), /texts that it does not name/],
  ])("is refused when it is opened, for what is wrong in %s", async (name, value, message) => {
    await spoil(name, value);
    await expect(openReference(path)).rejects.toMatchObject({
      code: "EVALUATION_REFERENCE_INVALID",
      message: expect.stringMatching(message),
    });
  });

  it.each([
    ["likeliest.tokens", Int32Array.of(100), /token 100/],
    ["likeliest.log_probability", Float32Array.of(Number.NaN), /window 0 has figures that are not finite/],
    ["tail.probability", Float32Array.of(Number.POSITIVE_INFINITY), /not finite/],
  ])("is refused when a window is read, for what is wrong in %s", async (name, value, message) => {
    await spoil(name, value);
    const reference = await openReference(path);
    await expect(reference.rows(0)).rejects.toMatchObject({
      code: "EVALUATION_REFERENCE_INVALID",
      message: expect.stringMatching(message),
    });
    await expect(reference.rows(1)).resolves.toEqual(rowsOf(1));
    await reference.close();
  });

  it("is not there before it is finished", async () => {
    const writer = await createReferenceFile({ path, header, windows, replace: false });
    await writer.abandon();
    await expect(readFile(path)).rejects.toMatchObject({ code: "ENOENT" });
    await expect(openReference(path)).rejects.toMatchObject({ code: "SOURCE_NOT_FOUND" });
  });
});
