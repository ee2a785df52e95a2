import { bytesSource, type ByteSource, QuernError, type TensorInfo } from "@quern/tensor";
import { describe, expect, it } from "vitest";
import { planSafetensorsShards, type SafetensorsShardPlan } from "./plan-shards.ts";
import { serializeSafetensors } from "../write/serialize.ts";
import { readShardedSafetensors } from "./sharded-file.ts";
import { readSafetensorsIndex, type SafetensorsIndex } from "./sharded-index.ts";

function indexOf(value: unknown): Promise<SafetensorsIndex> {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  const bytes = new TextEncoder().encode(text);
  return readSafetensorsIndex(bytesSource({ bytes, name: "model.safetensors.index.json" }));
}

function shard(...names: string[]): Uint8Array {
  const tensors = names.map((name) => ({
    name,
    type: "U8" as const,
    shape: [1],
    bytes: Uint8Array.of(name.length),
  }));
  return serializeSafetensors({ tensors });
}

describe("readSafetensorsIndex", () => {
  it("reads the shard of every tensor", async () => {
    const index = await indexOf({
      metadata: { total_size: 12, total_parameters: 3, note: [null] },
      weight_map: {
        b: "s-2.safetensors",
        a: "s-1.safetensors",
        c: "s-2.safetensors",
        __proto__x: "s-1.safetensors",
      },
      other: { ignored: true },
    });
    expect(index.name).toBe("model.safetensors.index.json");
    expect(index.metadata).toEqual({ total_size: 12, total_parameters: 3, note: [null] });
    expect([...index.weightMap]).toEqual([
      ["b", "s-2.safetensors"],
      ["a", "s-1.safetensors"],
      ["c", "s-2.safetensors"],
      ["__proto__x", "s-1.safetensors"],
    ]);
    expect(index.fileNames).toEqual(["s-1.safetensors", "s-2.safetensors"]);
  });

  it.each(['{"weight_map":{}}', '{"metadata":null,"weight_map":{}}', '\ufeff{"weight_map":{}}'])(
    "reads %s",
    async (text) => {
      expect(await indexOf(text)).toMatchObject({ metadata: {}, weightMap: new Map(), fileNames: [] });
    },
  );

  it.each<[string, unknown, string, RegExp]>([
    ["no JSON", "weights", "SAFETENSORS_BAD_INDEX", /expected the index object/],
    ["an unfinished file", '{"weight_map":{"a":', "SAFETENSORS_BAD_INDEX", /offset 19/],
    ["no weight_map", { metadata: {} }, "SAFETENSORS_BAD_INDEX", /expected a "weight_map"/],
    ["a weight_map that is an array", { weight_map: [] }, "SAFETENSORS_BAD_INDEX", /an object of strings/],
    ["a shard that is a number", { weight_map: { a: 1 } }, "SAFETENSORS_BAD_INDEX", /value of "a"/],
    ["metadata that is a string", { metadata: "x", weight_map: {} }, "SAFETENSORS_BAD_INDEX", /metadata/],
    ["more after the index", '{"weight_map":{}} x', "SAFETENSORS_BAD_INDEX", /nothing more/],
    ["a tensor named twice", '{"weight_map":{"a":"1","a":"2"}}', "SAFETENSORS_DUPLICATE_KEY", /"a"/],
    ["two weight maps", '{"weight_map":{},"weight_map":{}}', "SAFETENSORS_DUPLICATE_KEY", /"weight_map"/],
  ])("refuses %s", async (_, value, code, message) => {
    await expect(indexOf(value)).rejects.toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) as string }),
    );
  });

  it.each([
    "../model.safetensors",
    "..",
    ".",
    "",
    "a/b.safetensors",
    "/etc/passwd",
    String.raw`..\model.safetensors`,
    String.raw`C:\model.safetensors`,
    "C:model.safetensors",
    "file:///etc/passwd",
    "a\0.safetensors",
    "a\n.safetensors",
  ])("refuses the shard %j", async (fileName) => {
    await expect(indexOf({ weight_map: { w: fileName } })).rejects.toThrow(
      expect.objectContaining({
        code: "SAFETENSORS_INDEX_ESCAPES_FOLDER",
        subject: { file: "model.safetensors.index.json", tensor: "w", key: "weight_map" },
      }),
    );
  });

  it("refuses an index beyond the limit without reading it", async () => {
    const source: ByteSource = { ...bytesSource({ bytes: new Uint8Array(0) }), size: 300_000_000 };
    await expect(readSafetensorsIndex(source)).rejects.toThrow(
      expect.objectContaining({ code: "SAFETENSORS_INDEX_TOO_LARGE" }),
    );
  });

  it("refuses bytes that are not UTF-8", async () => {
    await expect(readSafetensorsIndex(bytesSource({ bytes: Uint8Array.of(0x7b, 0xff) }))).rejects.toThrow(
      expect.objectContaining({ code: "SAFETENSORS_BAD_INDEX" }),
    );
  });
});

/** Shards in memory that count how many of them are open. */
class Shelf {
  open = 0;
  readonly #files: Readonly<Record<string, Uint8Array>>;

  constructor(files: Readonly<Record<string, Uint8Array>>) {
    this.#files = files;
  }

  readonly opener = async (fileName: string): Promise<ByteSource> => {
    const bytes = this.#files[fileName];
    if (bytes === undefined) throw new QuernError("SOURCE_NOT_FOUND", `${fileName}: no such file`);
    this.open++;
    return { ...bytesSource({ bytes, name: fileName }), close: async () => void this.open-- };
  };
}

describe("readShardedSafetensors", () => {
  it("gives the tensors of all shards, in the order of the index", async () => {
    const shelf = new Shelf({ "1": shard("a", "ccc"), "2": shard("bb") });
    const index = await indexOf({ weight_map: { bb: "2", a: "1", ccc: "1" } });
    const sharded = await readShardedSafetensors({ index, open: shelf.opener });
    expect([...sharded.tensors.keys()]).toEqual(["bb", "a", "ccc"]);
    expect([...sharded.files.keys()]).toEqual(["1", "2"]);
    expect(await sharded.tensors.get("ccc")!.read()).toEqual(Uint8Array.of(3));
    expect(shelf.open).toBe(2);
    await sharded.close();
    expect(shelf.open).toBe(0);
  });

  it("opens more shards than it opens at a time", async () => {
    const names = Array.from({ length: 50 }, (_, i) => `t${i}`);
    const shelf = new Shelf(Object.fromEntries(names.map((name) => [name, shard(name)])));
    const index = await indexOf({ weight_map: Object.fromEntries(names.map((name) => [name, name])) });
    const sharded = await readShardedSafetensors({ index, open: shelf.opener });
    expect([...sharded.tensors.keys()]).toEqual(names);
    expect(shelf.open).toBe(50);
  });

  it("adds tensors that only a shard names", async () => {
    const shelf = new Shelf({ "1": shard("a", "extra"), "2": shard("b") });
    const index = await indexOf({ weight_map: { b: "2", a: "1" } });
    const { tensors } = await readShardedSafetensors({ index, open: shelf.opener });
    expect([...tensors.keys()]).toEqual(["b", "a", "extra"]);
  });

  it("follows the index when several shards hold a tensor", async () => {
    const shelf = new Shelf({ "1": shard("a", "b"), "2": shard("b") });
    for (const fileName of ["1", "2"]) {
      const index = await indexOf({ weight_map: { a: "1", b: fileName, c: "2" } });
      const both = await readShardedSafetensors({
        index: { ...index, weightMap: new Map([...index.weightMap].filter(([name]) => name !== "c")) },
        open: shelf.opener,
      });
      expect(both.tensors.get("b")!.file).toBe(fileName);
    }
  });

  it.each<[string, Record<string, Uint8Array>, Record<string, string>, string, object]>([
    ["a missing shard", { "1": shard("a") }, { a: "1", b: "2" }, "SAFETENSORS_MISSING_SHARD", { file: "2" }],
    [
      "a tensor that its shard lacks",
      { "1": shard("a"), "2": shard("c") },
      { a: "1", b: "2" },
      "SAFETENSORS_MISSING_TENSOR",
      { file: "2", tensor: "b" },
    ],
    [
      "a tensor that is in another shard",
      { "1": shard("a", "b"), "2": shard("c") },
      { a: "1", b: "2" },
      "SAFETENSORS_MISSING_TENSOR",
      { file: "2", tensor: "b" },
    ],
    [
      "an unnamed tensor in two shards",
      { "1": shard("a", "x"), "2": shard("b", "x") },
      { a: "1", b: "2" },
      "SAFETENSORS_DUPLICATE_TENSOR",
      { file: "2", tensor: "x" },
    ],
    [
      "a damaged shard",
      { "1": shard("a"), "2": shard("b").subarray(0, -1) },
      { a: "1", b: "2" },
      "SAFETENSORS_TRUNCATED",
      { file: "2" },
    ],
  ])("refuses %s and closes what it opened", async (_, files, weight_map, code, subject) => {
    const shelf = new Shelf(files);
    const index = await indexOf({ weight_map });
    await expect(readShardedSafetensors({ index, open: shelf.opener })).rejects.toThrow(
      expect.objectContaining({ code, subject: expect.objectContaining(subject) as object }),
    );
    expect(shelf.open).toBe(0);
  });

  it("passes other failures to open on", async () => {
    const failure = new QuernError("SOURCE_UNREADABLE", "permission denied");
    const index = await indexOf({ weight_map: { a: "1" } });
    await expect(readShardedSafetensors({ index, open: () => Promise.reject(failure) })).rejects.toBe(
      failure,
    );
  });
});

function info(name: string, size: number): TensorInfo {
  return { name, type: "U8", shape: [size] };
}

function names(plan: SafetensorsShardPlan): Record<string, string[]> {
  return Object.fromEntries(
    plan.shards.map(({ fileName, layout }) => [fileName, [...layout.tensors.keys()]]),
  );
}

describe("planSafetensorsShards", () => {
  it("makes one file without an index when everything fits", () => {
    const plan = planSafetensorsShards({ tensors: [info("a", 5), info("b", 5)], maxShardSize: 10 });
    expect(names(plan)).toEqual({ "model.safetensors": ["a", "b"] });
    expect(plan.index).toBeUndefined();
    expect(names(planSafetensorsShards({ tensors: [], maxShardSize: 10 }))).toEqual({
      "model.safetensors": [],
    });
  });

  it("fills files in the order given", async () => {
    const plan = planSafetensorsShards({
      tensors: [info("z", 6), info("y", 4), info("x", 1), info("huge", 11), info("w", 9), info("v", 1)],
      maxShardSize: 10,
      baseName: "weights",
      metadata: { format: "pt" },
      indexMetadata: { total_parameters: 32 },
    });
    // As huggingface_hub does: a tensor above the limit does not end the file being filled.
    expect(names(plan)).toEqual({
      "weights-00001-of-00004.safetensors": ["y", "z"],
      "weights-00002-of-00004.safetensors": ["huge"],
      "weights-00003-of-00004.safetensors": ["w", "x"],
      "weights-00004-of-00004.safetensors": ["v"],
    });
    expect(plan.index!.fileName).toBe("weights.safetensors.index.json");
    const index = await readSafetensorsIndex(bytesSource({ bytes: plan.index!.bytes }));
    expect(index.metadata).toEqual({ total_size: 32, total_parameters: 32 });
    expect([...index.weightMap.keys()]).toEqual(["huge", "v", "w", "x", "y", "z"]);
    expect(index.weightMap.get("x")).toBe("weights-00003-of-00004.safetensors");
    expect(new TextDecoder().decode(plan.index!.bytes)).toMatch(/^\{\n {2}"metadata": \{\n/);
    for (const { layout } of plan.shards)
      expect(new TextDecoder().decode(layout.header)).toContain('{"format":"pt"}');
  });

  it("refuses two tensors of a name, in different files too", () => {
    expect(() => planSafetensorsShards({ tensors: [info("a", 5), info("a", 5)], maxShardSize: 5 })).toThrow(
      expect.objectContaining({ code: "SAFETENSORS_DUPLICATE_TENSOR" }),
    );
  });

  it.each([0, -1, Number.NaN])("refuses the limit %d", (maxShardSize) => {
    expect(() => planSafetensorsShards({ tensors: [], maxShardSize })).toThrow(
      expect.objectContaining({ code: "SAFETENSORS_BAD_SHARD_SIZE" }),
    );
  });
});
