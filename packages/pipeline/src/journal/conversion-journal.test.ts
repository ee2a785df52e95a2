import { appendFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Journal, journalPathOf } from "@quern/tensor/node";
import { afterEach, beforeEach, expect, it } from "vitest";
import { CONVERSION_JOURNAL, readConversionJournal } from "./conversion-journal.ts";
import type { ConversionIdentity } from "./identity.ts";

const identity: ConversionIdentity = {
  tool: "quern 1.0.0",
  source: { name: "model", files: [] },
  outputs: [],
  measured: { all: false },
  digests: { tool: "1", source: "2", recipe: "3", importance: "4", rounding: "5", measured: "6" },
};

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "journal-"));
  path = journalPathOf(join(folder, "m.gguf"));
});
afterEach(() => rm(folder, { recursive: true }));

it("says which tensors are complete, which factors are chosen, and which outputs may have their names", async () => {
  const journal = await Journal.begin({ path, kind: CONVERSION_JOURNAL, identity });
  const tensor = { tensor: "a", outputs: [0, 1], crc32: "0".repeat(8) };
  const factors = { factors: { "blk.0.attn_norm": "AACAPw==" } };
  for (const entry of [tensor, factors, { finishing: 1 }]) await journal.append(entry);
  await journal.close();
  expect(await readConversionJournal(path)).toMatchObject({
    identity,
    tensors: [tensor],
    factors: [factors],
    finishing: new Set([1]),
  });
});

it.each([
  ["a tensor of no output", { tensor: "a", outputs: [], crc32: "0" }],
  ["a tensor of an output that cannot be", { tensor: "a", outputs: [-1], crc32: "0" }],
  ["a tensor without a checksum", { tensor: "a", outputs: [0] }],
  ["errors that are none", { tensor: "a", outputs: [0], crc32: "0", errors: [{}] }],
  ["factors that are none", { factors: [1] }],
  ["an output that cannot be", { finishing: 0.5 }],
])("ends before a line with %s", async (_what, line) => {
  await (await Journal.begin({ path, kind: CONVERSION_JOURNAL, identity })).close();
  await appendFile(path, `${JSON.stringify(line)}\n{"finishing":0}\n`);
  expect(await readConversionJournal(path)).toMatchObject({
    tensors: [],
    finishing: new Set(),
    strangeLine: 4,
  });
});
