import { mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  ggufArray,
  ggufInt32,
  ggufString,
  ggufUint32,
  ggufUint64,
  type GgufTensorSpec,
  type GgufValue,
  planGguf,
} from "@quern/gguf";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { goldenPath } from "../testing/golden-path.ts";
import { imatrixPath, writeSample } from "../testing/importance.ts";
import type { Importance } from "./importance.ts";
import { readImportance } from "./read-importance.ts";
import { selectImportance } from "./select-importance.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "importance-"));
});
afterEach(() => rm(folder, { recursive: true }));

const usualPairs: readonly [string, GgufValue][] = [
  ["imatrix.datasets", ggufArray("string", ["text.txt"])],
  ["imatrix.chunk_count", ggufUint32(7)],
  ["imatrix.chunk_size", ggufUint32(512)],
];

/** A GGUF file of F32 tensors with other metadata or types than ours. */
async function writeGguf(
  tensors: Record<string, number[]>,
  { pairs = usualPairs, type = "F32" }: { pairs?: readonly [string, GgufValue][]; type?: string } = {},
): Promise<string> {
  const specs = Object.entries(tensors).map(([name, { length }]): GgufTensorSpec => {
    return { name, type, ne: [length] };
  });
  const layout = planGguf({ metadata: new Map(pairs), tensors: specs });
  const file = Buffer.alloc(layout.fileSize);
  file.set(layout.header);
  for (const { name, offset } of layout.tensors) {
    for (const [index, value] of tensors[name]!.entries()) file.writeFloatLE(value, offset + index * 4);
  }
  const path = join(folder, "imatrix.gguf");
  await writeFile(path, file);
  return path;
}

function int(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeInt32LE(value);
  return buffer;
}

/** The older layout with one entry: three values of two calls. */
function legacyFile(tail: Buffer[] = [], calls = 2): Buffer {
  const floats = Buffer.alloc(12);
  for (const [index, value] of [2, 4, 6].entries()) floats.writeFloatLE(value, index * 4);
  const name = Buffer.from("blk.0.ffn_up.weight");
  return Buffer.concat([int(1), int(name.length), name, int(calls), int(3), floats, ...tail]);
}

async function writeLegacy(...parts: Buffer[]): Promise<string> {
  const path = join(folder, "imatrix.dat");
  await writeFile(path, Buffer.concat(parts));
  return path;
}

async function weightsOf(importance: Importance, name: string): Promise<number[]> {
  return [...(await importance.readWeights(name, { start: 0, count: importance.lengths.get(name)! }))];
}

const invalid = { code: "IMPORTANCE_INVALID" };

describe("the GGUF layout", () => {
  it("is read as llama-imatrix writes it", async () => {
    const path = goldenPath("mixtral", "imatrix.gguf");
    const { file, datasets, chunks, lengths } = await readImportance(path);
    expect({ file, datasets, chunks }).toEqual({ file: path, datasets: ["golden.txt"], chunks: 4 });
    // 8 experts of 32 columns.
    expect(lengths.get("blk.0.ffn_down_exps.weight")).toBe(8 * 32);
  });

  it("is divided by the counts of each expert, 1 where nothing was counted", async () => {
    const path = await writeSample(join(folder, "a.gguf"), {
      "a.weight": { sums: [2, 4, 8, 16, 5, 5], counts: [2, 4, 0] },
    });
    const importance = await readImportance(path);
    expect(await weightsOf(importance, "a.weight")).toEqual([1, 2, 2, 4, 1, 1]);
    expect([...(await importance.readWeights("a.weight", { start: 3, count: 2 }))]).toEqual([4, 1]);
    expect(importance.examinations).toEqual([
      { name: "a.weight", columns: 2, matrices: 3, unseen: 1, zeroColumns: 0 },
    ]);
  });

  it("rounds as floats do", async () => {
    const path = await writeSample(join(folder, "a.gguf"), {
      "a.weight": { sums: [1, 10, 0.1], counts: [3] },
    });
    const weights = await weightsOf(await readImportance(path), "a.weight");
    expect(weights).toEqual([1 / 3, 10 / 3, Math.fround(0.1) / 3].map(Math.fround));
  });

  it("may have fractions as counts, which are rounded away from zero", async () => {
    const path = await writeGguf({ "a.in_sum2": [6, 6], "a.counts": [2.5, 0.4] });
    expect(await weightsOf(await readImportance(path), "a")).toEqual([2, 1]);
  });

  it("counts columns that met only zeros, but not those of unseen experts", async () => {
    const path = await writeSample(join(folder, "a.gguf"), {
      "a.weight": { sums: [0, 4, 0, 0], counts: [2, 0] },
    });
    expect((await readImportance(path)).examinations).toMatchObject([{ unseen: 1, zeroColumns: 1 }]);
  });

  it.each([ggufInt32(9), ggufUint64(9n), ggufUint32(9)])("takes chunks as $type", async (value) => {
    const pairs = [...usualPairs.slice(0, 1), ["imatrix.chunk_count", value], usualPairs[2]!];
    const path = await writeGguf(
      { "a.in_sum2": [6], "a.counts": [2] },
      { pairs: pairs as [string, GgufValue][] },
    );
    expect((await readImportance(path)).chunks).toBe(9);
  });

  it.each([ggufInt32(-1), ggufUint32(2 ** 31), ggufString("9"), ggufArray("uint32", [9])])(
    "refuses chunks as $type $value",
    async (value) => {
      const pairs: [string, GgufValue][] = [...usualPairs.slice(0, 2), ["imatrix.chunk_size", value]];
      const path = await writeGguf({ "a.in_sum2": [6], "a.counts": [2] }, { pairs });
      await expect(readImportance(path)).rejects.toMatchObject({
        ...invalid,
        subject: { key: "imatrix.chunk_size" },
      });
    },
  );

  it("needs its keys, and both tensors of an entry as F32", async () => {
    const pair = { "a.in_sum2": [1], "a.counts": [1] };
    const keys = await writeGguf(pair, { pairs: usualPairs.slice(1) });
    await expect(readImportance(keys)).rejects.toMatchObject({
      ...invalid,
      subject: { key: "imatrix.datasets" },
    });
    for (const tensors of [{ "a.in_sum2": [1] }, { "a.counts": [1] }, { "a.weight": [1] }]) {
      await expect(readImportance(await writeGguf(tensors))).rejects.toMatchObject(invalid);
    }
    await expect(readImportance(await writeGguf(pair, { type: "I32" }))).rejects.toMatchObject(invalid);
  });

  it("needs sums for every count", async () => {
    for (const counts of [[1, 1], []]) {
      const path = await writeGguf({ "a.in_sum2": [1, 2, 3], "a.counts": counts });
      await expect(readImportance(path)).rejects.toMatchObject({ ...invalid, subject: { tensor: "a" } });
    }
  });
});

describe("numbers that cannot be", () => {
  it.each([Number.NaN, Infinity, -Infinity, -1])("a sum of %s is refused with its place", async (value) => {
    const path = await writeSample(join(folder, "a.gguf"), {
      "good.weight": { sums: [1, 2], counts: [1] },
      "bad.weight": { sums: [1, 2, 3, value], counts: [2, 2] },
    });
    const error = await readImportance(path).catch((error: unknown) => error);
    expect(error).toMatchObject({ ...invalid, subject: { file: path, tensor: "bad.weight", offset: 3 } });
    expect((error as Error).message).toContain(`column 1 of matrix 1 is ${value}`);
  });

  it.each([Number.NaN, Infinity, -1])("a count of %s is refused", async (value) => {
    const path = await writeGguf({ "a.in_sum2": [1, 2], "a.counts": [1, value] });
    await expect(readImportance(path)).rejects.toMatchObject({
      ...invalid,
      subject: { tensor: "a", offset: 1 },
    });
  });

  it("zero is a sum, with either sign", async () => {
    const path = await writeSample(join(folder, "a.gguf"), { "a.weight": { sums: [0, -0], counts: [1] } });
    expect((await readImportance(path)).examinations).toMatchObject([{ zeroColumns: 2 }]);
  });
});

describe("the older layout", () => {
  it("is divided by the calls", async () => {
    const path = await writeLegacy(legacyFile());
    const importance = await readImportance(path);
    expect(importance).toMatchObject({ file: path, datasets: [], chunks: 0 });
    expect(await weightsOf(importance, "blk.0.ffn_up.weight")).toEqual([1, 2, 3]);
  });

  it("is taken as it is without calls", async () => {
    const path = await writeLegacy(legacyFile([], 0));
    expect(await weightsOf(await readImportance(path), "blk.0.ffn_up.weight")).toEqual([2, 4, 6]);
  });

  it("may name chunks and a data set, up to a zero", async () => {
    expect(await readImportance(await writeLegacy(legacyFile([int(9)])))).toMatchObject({
      datasets: [],
      chunks: 9,
    });
    const named = await writeLegacy(legacyFile([int(9), int(4), Buffer.from("ab\0c")]));
    expect(await readImportance(named)).toMatchObject({ datasets: ["ab"], chunks: 9 });
  });

  it("takes the last of two entries of one name", async () => {
    const entry = legacyFile().subarray(4);
    const other = legacyFile([], 1).subarray(4);
    const importance = await readImportance(await writeLegacy(int(2), entry, other));
    expect(await weightsOf(importance, "blk.0.ffn_up.weight")).toEqual([2, 4, 6]);
  });

  it("is refused wherever it is cut", async () => {
    const whole = legacyFile([int(9), int(2), Buffer.from("ab")]);
    const lengths: number[] = [];
    for (let length = 0; length <= whole.length; length++) {
      const code = await readImportance(await writeLegacy(whole.subarray(0, length))).then(
        () => "read",
        (error: unknown) => (error as { code: unknown }).code,
      );
      if (code === "read") lengths.push(length);
      expect(["read", invalid.code]).toContain(code);
    }
    expect(lengths).toEqual([legacyFile().length, legacyFile().length + 4, whole.length]);
  });

  it("is not what any file is", async () => {
    const path = await writeLegacy(await readFile(fileURLToPath(import.meta.url)));
    await expect(readImportance(path)).rejects.toMatchObject(invalid);
    await expect(readImportance(join(folder, "none"))).rejects.toMatchObject({ code: "SOURCE_NOT_FOUND" });
  });
});

describe("weights that are read later", () => {
  it("are those of the file that was checked", async () => {
    const path = await writeSample(join(folder, "a.gguf"), { "a.weight": { sums: [1, 2], counts: [1] } });
    const importance = await readImportance(path);
    await truncate(path, 100);
    await expect(importance.readWeights("a.weight", { start: 0, count: 2 })).rejects.toMatchObject({
      code: "IMPORTANCE_CHANGED",
      subject: { file: path },
    });
  });
});

describe("selectImportance", () => {
  it("takes entries by parts of their names, or leaves them out", async () => {
    const importance = await readImportance(imatrixPath("a.gguf"));
    const names = (params: Parameters<typeof selectImportance>[1]) => {
      return [...selectImportance(importance, params).lengths.keys()];
    };
    expect(names({ include: ["attn_v", "output"] })).toEqual(["blk.0.attn_v.weight", "output.weight"]);
    expect(names({ exclude: ["blk.", "nothing"] })).toEqual(["output.weight"]);
    // Upper and lower case count, and a dot is a dot.
    expect(names({ include: ["ATTN_V", "blk.0.attn.v"] })).toEqual([]);
    expect(selectImportance(importance, {})).toBe(importance);
    expect(selectImportance(importance, { exclude: ["attn_v"] }).leftOut).toEqual(
      new Set(["blk.0.attn_v.weight"]),
    );
    expect(() => selectImportance(importance, { include: ["a"], exclude: ["b"] })).toThrow(
      expect.objectContaining({ code: "IMPORTANCE_SELECTION" }),
    );
  });
});
