// @module-tag kernels

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openCheckpointDirectory } from "@quern/checkpoints/node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { convert } from "./conversion/convert.ts";
import { readImportance } from "@quern/statistics";
import { planConversion } from "./planning/plan-conversion.ts";
import type { IntermediateType, OutputRequest } from "./recipe.ts";
import {
  describeGguf,
  type GoldenFile,
  goldenCases,
  goldenNames,
  goldenPath,
  type GoldenQuantized,
  quantizedPairs,
  readGolden,
  withoutSetOrder,
} from "./testing/golden.ts";
import { requestOf } from "./testing/quantize-command.ts";

/** Descriptions in `expected/` of a case that are not of a converted file. */
const NOT_CONVERTED = new Set(["hparams", "pretokenizer"]);

const folder = await mkdtemp(join(tmpdir(), "golden-"));
afterAll(() => rm(folder, { recursive: true }));

/** Converts a case to all outputs in one pass. */
async function convertCase(params: {
  name: string;
  outputs: OutputRequest[];
  importance?: string;
}): Promise<void> {
  const { name, outputs } = params;
  // The quantizer was given the file by its name alone, which it writes into the metadata.
  const importance =
    params.importance === undefined
      ? {}
      : { importance: { ...(await readImportance(params.importance)), file: "imatrix.gguf" } };
  const checkpoint = await openCheckpointDirectory(goldenPath(name, "checkpoint"));
  const plan = await planConversion({ checkpoint, outputs, ...importance, threads: 0 });
  await convert(plan);
}

describe.each(await goldenCases())("%s", async (name) => {
  const types = (await goldenNames(name, "expected")).filter((type) => !NOT_CONVERTED.has(type));
  const fileOf = (...parts: string[]): string => join(folder, name, `${parts.join("-")}.gguf`);

  describe("as the converter writes it", () => {
    beforeAll(() =>
      convertCase({
        name,
        outputs: types.map((type) => ({ type, flavour: "converter", path: fileOf(type) })),
      }),
    );

    it.each(types)("%s", async (type) => {
      const expected = readGolden<GoldenFile>(name, "expected", `${type}.json`);
      const { file, kv, tensors, ...rest } = await describeGguf(fileOf(type));
      const unordered = new Set(expected.kv.filter((pair) => pair.unordered).map(({ key }) => key));
      expect(withoutSetOrder(kv, unordered)).toEqual(withoutSetOrder(expected.kv, unordered));
      expect(tensors).toEqual(expected.tensors);
      expect(expected).toMatchObject(rest);
      const anySha256 = unordered.size === 0 ? {} : { sha256: file.sha256 };
      expect(file).toEqual({ ...expected.file, ...anySha256 });
    });
  });

  for (const set of ["quantize", "quantize-imatrix", "quantize-options"]) {
    const quantized = (await goldenNames(name, "expected", set)).map((type) => ({
      type,
      golden: readGolden<GoldenQuantized>(name, "expected", set, `${type}.json`),
    }));
    if (quantized.length === 0) continue;
    const importance = set === "quantize-imatrix" ? { importance: goldenPath(name, "imatrix.gguf") } : {};
    const request = ({ type, golden }: (typeof quantized)[number]): OutputRequest => ({
      ...requestOf(golden.command),
      flavour: "quantizer",
      intermediate: golden.source.replace(".json", "").toUpperCase() as IntermediateType,
      path: fileOf(set, type),
    });

    describe(`as the quantizer makes it, ${set}`, () => {
      const written = quantized.filter(({ golden }) => golden.error === undefined);
      const refused = quantized.filter(({ golden }) => golden.error !== undefined);
      beforeAll(() => convertCase({ name, outputs: written.map(request), ...importance }));

      it.each(written)("$type", async ({ type, golden }) => {
        const source = readGolden<GoldenFile>(name, "expected", golden.source);
        const { file, kv, tensors } = await describeGguf(fileOf(set, type));
        expect(kv).toEqual(quantizedPairs(source.kv, golden));
        expect(tensors).toEqual(golden.tensors);
        expect(file).toEqual(golden.file);
      });

      it.each(refused)("$type is refused", async (entry) => {
        await expect(convertCase({ name, outputs: [request(entry)], ...importance })).rejects.toMatchObject({
          code: /imatrix/.test(entry.golden.error!) ? "IMPORTANCE_REQUIRED" : "MIXTURE_NO_FALLBACK",
        });
      });
    });
  }
});
