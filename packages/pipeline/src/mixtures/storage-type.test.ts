import { describe, expect, it } from "vitest";
import { goldenCases, type GoldenFile, goldenNames, readGolden } from "../testing/golden.ts";
import { findMixture, storageFormat, storageType, STORAGE_FORMATS } from "./index.ts";

/** Matrices of weights that architectures keep in F32: routers, positions, token types. */
const KEPT = /ffn_gate_inp(_shexp)?\.weight$|^position_embd\.weight$|^token_types\.weight$/;

const cases = await goldenCases();
const files: { name: string; type: string }[] = [];
for (const name of cases) {
  for (const type of await goldenNames(name, "expected")) {
    if (STORAGE_FORMATS.some((format) => format.type === type.toUpperCase())) files.push({ name, type });
  }
}

describe("types of the converter", () => {
  it.each(files)("$name $type", ({ name, type }) => {
    const { tensors } = readGolden<GoldenFile>(name, "expected", `${type}.json`);
    const format = storageFormat(type.toUpperCase());
    const chosen = tensors.map((tensor) => {
      const storage =
        tensor.type === "MXFP4" ? { packed: "MXFP4" } : KEPT.test(tensor.name) ? "f32" : "follow";
      return storageType({ name: tensor.name, ne: tensor.ne, storage, format }).type;
    });
    expect(chosen).toEqual(tensors.map((tensor) => tensor.type));
  });

  it("are all compared", () => {
    expect(new Set(files.map(({ type }) => type.toUpperCase()))).toEqual(
      new Set(STORAGE_FORMATS.map(({ type }) => type)),
    );
    expect(files.length).toBeGreaterThan(4 * 22);
  });

  it("tells where rows do not fit", () => {
    const tensor = { name: "blk.0.ffn_up.weight", ne: [80, 4], storage: "follow" } as const;
    expect(storageType({ ...tensor, format: storageFormat("Q8_0") })).toEqual({
      type: "F16",
      fallbackFrom: "Q8_0",
    });
    expect(storageType({ ...tensor, format: storageFormat("F32") })).toEqual({ type: "F32" });
  });

  it("has the file types of the mixtures", () => {
    for (const { type, fileType } of STORAGE_FORMATS) expect(findMixture(type)?.fileType).toBe(fileType);
    expect(() => storageFormat("Q4_0")).toThrow(expect.objectContaining({ code: "STORAGE_FORMAT_UNKNOWN" }));
  });
});
