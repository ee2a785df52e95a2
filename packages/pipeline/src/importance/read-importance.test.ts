import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ggufArray, ggufUint32, type GgufValue, planGguf } from "@quern/gguf";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readImportance } from "./read-importance.ts";

const golden = fileURLToPath(new URL("../../../../fixtures/golden/", import.meta.url));

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "importance-"));
});
afterEach(() => rm(folder, { recursive: true }));

/** A GGUF file as llama-imatrix writes it, of F32 tensors. */
async function writeGguf(tensors: Record<string, number[]>): Promise<string> {
  const layout = planGguf({
    metadata: new Map<string, GgufValue>([
      ["imatrix.datasets", ggufArray("string", ["text.txt"])],
      ["imatrix.chunk_count", ggufUint32(7)],
      ["imatrix.chunk_size", ggufUint32(512)],
    ]),
    tensors: Object.entries(tensors).map(([name, values]) => ({ name, type: "F32", ne: [values.length] })),
  });
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

function legacyFile(tail: Buffer[] = []): Buffer {
  const floats = Buffer.alloc(12);
  for (const [index, value] of [2, 4, 6].entries()) floats.writeFloatLE(value, index * 4);
  const name = Buffer.from("blk.0.ffn_up.weight");
  return Buffer.concat([int(1), int(name.length), name, int(2), int(3), floats, ...tail]);
}

describe("readImportance", () => {
  it("reads what llama-imatrix writes", async () => {
    const path = join(golden, "mixtral", "imatrix.gguf");
    const { file, datasets, chunks, weights } = await readImportance(path);
    expect({ file, datasets, chunks }).toEqual({ file: path, datasets: ["golden.txt"], chunks: 4 });
    // 8 experts of 32 columns.
    expect(weights.get("blk.0.ffn_down_exps.weight")?.length).toBe(8 * 32);
  });

  it("divides by the counts of each expert, 1 where nothing was counted", async () => {
    const path = await writeGguf({ "a.weight.in_sum2": [2, 4, 8, 16, 5, 5], "a.weight.counts": [2, 4, 0] });
    const { weights } = await readImportance(path);
    expect([...weights.get("a.weight")!]).toEqual([1, 2, 2, 4, 1, 1]);
  });

  it("reads the older layout", async () => {
    const path = join(folder, "imatrix.dat");
    await writeFile(path, legacyFile());
    expect(await readImportance(path)).toEqual({
      file: path,
      datasets: [],
      chunks: 0,
      weights: new Map([["blk.0.ffn_up.weight", new Float32Array([1, 2, 3])]]),
    });
    const tail = Buffer.from([9, 0, 0, 0, 2, 0, 0, 0, 0x61, 0x62]);
    await writeFile(path, legacyFile([tail]));
    expect(await readImportance(path)).toMatchObject({ datasets: ["ab"], chunks: 9 });
  });

  it("refuses what is not an importance matrix", async () => {
    const invalid = { code: "IMPORTANCE_INVALID" };
    await expect(readImportance(await writeGguf({ "a.weight.in_sum2": [1] }))).rejects.toMatchObject(invalid);
    await expect(readImportance(await writeGguf({ "a.weight": [1] }))).rejects.toMatchObject(invalid);
    const uneven = await writeGguf({ "a.weight.in_sum2": [1, 2, 3], "a.weight.counts": [1, 1] });
    await expect(readImportance(uneven)).rejects.toMatchObject({
      ...invalid,
      subject: { tensor: "a.weight" },
    });
    const infinite = await writeGguf({ "a.weight.in_sum2": [1, Infinity], "a.weight.counts": [1] });
    await expect(readImportance(infinite)).rejects.toMatchObject({ ...invalid, subject: { offset: 1 } });

    const path = join(folder, "imatrix.dat");
    const whole = legacyFile();
    for (let length = 0; length < whole.length; length += 3) {
      await writeFile(path, whole.subarray(0, length));
      await expect(readImportance(path)).rejects.toMatchObject(invalid);
    }
    await writeFile(path, await readFile(fileURLToPath(import.meta.url)));
    await expect(readImportance(path)).rejects.toMatchObject(invalid);
  });
});
