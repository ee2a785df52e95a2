import { type ByteSource, bytesSource } from "@quern/tensor";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  ggufString,
  ggufUint16,
  ggufUint32,
  type GgufLayout,
  type GgufMetadata,
  type GgufTensorSpec,
  parseSplitFileName,
  planGguf,
  planGgufMerge,
  planGgufSplits,
  readGgufSet,
  splitFileName,
  splitPrefix,
} from "../index.ts";
import { anyMetadata, plain, tensorSpecs } from "../testing/arbitraries.ts";

const metadata: GgufMetadata = new Map([
  ["general.architecture", ggufString("llama")],
  ["split.no", ggufUint16(9)],
  ["general.file_type", ggufUint32(0)],
]);
// 64, 128, 32, 32 and 320 bytes with padding.
const tensors: GgufTensorSpec[] = [16, 32, 8, 1, 80].map((columns, index) => ({
  name: `t${index}`,
  type: "F32",
  ne: [columns],
}));

/** Files in memory that count what is open. */
function disk(files: ReadonlyMap<string, Uint8Array>) {
  const opened: string[] = [];
  let open = 0;
  return {
    opened,
    stillOpen: () => open,
    open: async (fileName: string): Promise<ByteSource> => {
      const bytes = files.get(fileName);
      if (bytes === undefined) throw new Error(`no file ${fileName}`);
      opened.push(fileName);
      open++;
      return { ...bytesSource({ bytes, name: fileName }), close: async () => void open-- };
    },
  };
}

/** Each tensor's bytes hold its number. */
function filesOf(layouts: readonly GgufLayout[], prefix = "m"): Map<string, Uint8Array> {
  return new Map(
    layouts.map((layout, index) => {
      const bytes = new Uint8Array(layout.fileSize);
      bytes.set(layout.header);
      for (const { name, offset, size } of layout.tensors)
        bytes.fill(Number(name.slice(1)) + 1, offset, offset + size);
      return [splitFileName({ prefix, index, count: layouts.length }), bytes];
    }),
  );
}

function swap(files: Map<string, Uint8Array>, a: string, b: string): void {
  const [first, second] = [files.get(a), files.get(b)];
  if (first !== undefined && second !== undefined) files.set(a, second).set(b, first);
}

const names = (layouts: readonly GgufLayout[]) =>
  layouts.map((layout) => layout.tensors.map(({ name }) => name).join(" "));

describe("planning splits", () => {
  it("divides by number of tensors", () => {
    expect(names(planGgufSplits({ metadata, tensors, division: { maxTensors: 2 } }))).toEqual([
      "t0 t1",
      "t2 t3",
      "t4",
    ]);
  });

  it("divides by bytes, headers not counted", () => {
    expect(names(planGgufSplits({ metadata, tensors, division: { maxBytes: 192 } }))).toEqual([
      "t0 t1",
      "t2 t3",
      "t4",
    ]);
    expect(names(planGgufSplits({ metadata, tensors, division: { maxBytes: 191 } }))).toEqual([
      "t0",
      "t1 t2",
      "t3",
      "t4",
    ]);
    expect(names(planGgufSplits({ metadata, tensors, division: { maxBytes: 1e9 } }))).toEqual([
      "t0 t1 t2 t3 t4",
    ]);
  });

  it("can leave the first file without tensors", () => {
    const layouts = planGgufSplits({
      metadata,
      tensors,
      division: { maxTensors: 3, firstWithoutTensors: true },
    });
    expect(names(layouts)).toEqual(["", "t0 t1 t2", "t3 t4"]);
  });

  it("writes the keys as gguf-split does, and the alignment into every file", () => {
    const aligned = new Map(metadata).set("general.alignment", ggufUint32(64));
    const layouts = planGgufSplits({ metadata: aligned, tensors, division: { maxTensors: 3 } });
    expect(
      layouts.map((layout) =>
        [...layout.metadata].map(([key, value]) => [key, value.type, value.type === "array" || value.value]),
      ),
    ).toEqual([
      [
        ["general.architecture", "string", "llama"],
        ["general.file_type", "uint32", 0],
        ["general.alignment", "uint32", 64],
        ["split.no", "uint16", 0],
        ["split.tensors.count", "int32", 5],
        ["split.count", "uint16", 2],
      ],
      [
        ["general.alignment", "uint32", 64],
        ["split.no", "uint16", 1],
        ["split.tensors.count", "int32", 5],
        ["split.count", "uint16", 2],
      ],
    ]);
  });

  it.each([{ maxTensors: 0 }, { maxTensors: 1.5 }, { maxBytes: -1 }, { maxBytes: Number.NaN }])(
    "refuses %j",
    (division) => {
      expect(() => planGgufSplits({ metadata, tensors, division })).toThrow(
        expect.objectContaining({ code: "GGUF_SPLIT_INVALID" }),
      );
    },
  );
});

describe("files that are given", () => {
  const fileOf = new Map(tensors.map(({ name }, index) => [name, [2, 0, 2, 0, 0][index]!]));

  it("get their tensors in the order given, and the keys as llama-quantize writes them", () => {
    const layouts = planGgufSplits({ metadata, tensors, division: { fileOf } });
    expect(names(layouts)).toEqual(["t1 t3 t4", "", "t0 t2"]);
    expect(layouts.map((layout) => [...layout.metadata.keys()])).toEqual([
      ["general.architecture", "general.file_type", "split.no", "split.count", "split.tensors.count"],
      ["split.no", "split.count", "split.tensors.count"],
      ["split.no", "split.count", "split.tensors.count"],
    ]);
  });

  it("have no keys when there is only one", () => {
    const [layout] = planGgufSplits({
      metadata,
      tensors,
      division: { fileOf: new Map(tensors.map(({ name }) => [name, 0])) },
    });
    expect([...layout!.metadata.keys()]).toEqual(["general.architecture", "general.file_type"]);
  });

  it.each([undefined, -1, 0.5, 65_535])("cannot be number %s", (file) => {
    const wrong = new Map<string, number>(fileOf);
    if (file === undefined) wrong.delete("t3");
    else wrong.set("t3", file);
    expect(() => planGgufSplits({ metadata, tensors, division: { fileOf: wrong } })).toThrow(
      expect.objectContaining({ code: "GGUF_SPLIT_INVALID", subject: { tensor: "t3" } }),
    );
  });
});

describe("any tensors", () => {
  const division = fc.oneof(
    fc.record({ maxTensors: fc.integer({ min: 1, max: 4 }), firstWithoutTensors: fc.boolean() }),
    fc.record({ maxBytes: fc.integer({ min: 1, max: 3000 }), firstWithoutTensors: fc.boolean() }),
    fc.array(fc.nat(4), { minLength: 6, maxLength: 6 }).map((files) => ({ files })),
  );

  it("come back from a set as they went in, and from the merged file", async () => {
    await fc.assert(
      fc.asyncProperty(anyMetadata, tensorSpecs, division, async (pairs, specs, choice) => {
        const layouts = planGgufSplits({
          metadata: pairs,
          tensors: specs,
          division:
            "files" in choice
              ? { fileOf: new Map(specs.map(({ name }, index) => [name, choice.files[index]!])) }
              : choice,
        });
        const files = new Map(
          layouts.map(({ header, fileSize }, index) => {
            const bytes = new Uint8Array(fileSize);
            bytes.set(header);
            return [splitFileName({ prefix: "m", index, count: layouts.length }), bytes];
          }),
        );
        const set = await readGgufSet({ fileName: [...files.keys()].at(-1)!, open: disk(files).open });
        expect(plain(set.metadata)).toEqual(plain(pairs));
        const sorted = (list: Iterable<GgufTensorSpec>) =>
          [...list]
            .map(({ name, type, ne }) => ({ name, type, ne }))
            .sort((a, b) => (a.name < b.name ? -1 : 1));
        expect(sorted(set.tensors.values())).toEqual(sorted(specs));
        const groups = layouts.map(({ tensors: group }) => group.map(({ name }) => name));
        const order = "files" in choice ? groups.flat() : specs.map(({ name }) => name);
        expect([...set.tensors.keys()]).toEqual(order);

        if (set.files[0]!.metadata.get("split.count") === undefined) return;
        const merged = planGgufMerge({ set, dropSplitKeys: true });
        expect(plain(merged.metadata)).toEqual(plain(pairs));
        expect(merged.tensors.map(({ name }) => name)).toEqual([...set.tensors.keys()]);
        const kept = planGgufMerge({ set });
        expect(kept.metadata.get("split.count")).toEqual(ggufUint16(0));
        expect([...kept.metadata.keys()].at(-1)).toBe("split.count");
      }),
      { numRuns: 200 },
    );
  });

  it("are not merged from a file that is no part of a set", async () => {
    const whole = planGguf({ metadata, tensors: [] });
    const merged = planGguf({ metadata: new Map([["split.count", ggufUint16(0)]]), tensors: [] });
    for (const { header } of [whole, merged]) {
      const set = await readGgufSet({ fileName: "w.gguf", open: disk(new Map([["w.gguf", header]])).open });
      expect(() => planGgufMerge({ set })).toThrow(expect.objectContaining({ code: "GGUF_SPLIT_INVALID" }));
    }
  });
});

describe("file names", () => {
  it("tell the place in the set", () => {
    const parts = { prefix: "dir/my-model-Q4_K_M", index: 1, count: 12 };
    expect(splitFileName(parts)).toBe("dir/my-model-Q4_K_M-00002-of-00012.gguf");
    expect(parseSplitFileName(splitFileName(parts))).toEqual(parts);
  });

  it("have a prefix that any name of the output leads to", () => {
    expect(splitPrefix("dir/m.gguf")).toBe("dir/m");
    expect(splitPrefix("dir/m")).toBe("dir/m");
    expect(splitPrefix("dir/m-00001-of-00003.gguf")).toBe("dir/m");
    expect(splitPrefix("dir/.gguf")).toBe("dir/.gguf");
  });

  it.each([
    "m.gguf",
    "-00001-of-00002.gguf",
    "m-00000-of-00002.gguf",
    "m-00003-of-00002.gguf",
    "m-1-of-2.gguf",
    "m-00001-of-00002.gguf.part",
    "m-00001-of-99999.gguf",
  ])("does not take %s for part of a set", (name) => {
    expect(parseSplitFileName(name)).toBeUndefined();
  });

  it.each([
    { prefix: "", index: 0, count: 1 },
    { prefix: "m", index: 1, count: 1 },
    { prefix: "m", index: -1, count: 1 },
    { prefix: "m", index: 0, count: 65_536 },
  ])("refuses %j", (parts) => {
    expect(() => splitFileName(parts)).toThrow(expect.objectContaining({ code: "GGUF_SPLIT_INVALID" }));
  });
});

describe("reading a set", () => {
  const layouts = planGgufSplits({ metadata, tensors, division: { maxTensors: 2 } });

  it("reads all files as one, whichever is named", async () => {
    for (const fileName of filesOf(layouts, "x/m").keys()) {
      const files = disk(filesOf(layouts, "x/m"));
      const set = await readGgufSet({ fileName, open: files.open });
      expect(files.opened).toEqual([...filesOf(layouts, "x/m").keys()]);
      expect([...set.metadata.keys()]).toEqual(["general.architecture", "general.file_type"]);
      expect([...set.tensors.values()].map(({ name, file, ne }) => [name, file, ne])).toEqual(
        tensors.map(({ name, ne }, index) => [name, Math.floor(index / 2), ne]),
      );
      for (const [index, { name, ne }] of tensors.entries()) {
        expect(await set.readTensor(name)).toEqual(new Uint8Array((ne[0] ?? 0) * 4).fill(index + 1));
        expect(await set.readRows({ name, start: 0, count: 1 })).toHaveLength((ne[0] ?? 0) * 4);
      }
      await expect(set.readTensor("none")).rejects.toMatchObject({ code: "GGUF_TENSOR_NOT_FOUND" });
      await set.close();
      expect(files.stillOpen()).toBe(0);
    }
  });

  it("reads a file that is not split", async () => {
    const whole = planGguf({ metadata: new Map([["k", ggufUint32(1)]]), tensors });
    const bytes = new Uint8Array(whole.fileSize);
    bytes.set(whole.header);
    for (const fileName of ["whole.gguf", "m-00001-of-00003.gguf"]) {
      const set = await readGgufSet({ fileName, open: disk(new Map([[fileName, bytes]])).open });
      expect([set.files.length, set.tensors.size, set.metadata.size]).toEqual([1, 5, 1]);
    }
  });

  const damage: [what: string, change: (files: Map<string, Uint8Array>) => void, code: string | undefined][] =
    [
      ["a missing file", (files) => files.delete("m-00003-of-00003.gguf"), undefined],
      [
        "files in the wrong place",
        (files) => swap(files, "m-00002-of-00003.gguf", "m-00003-of-00003.gguf"),
        "GGUF_SPLIT_INVALID",
      ],
      [
        "a first file that is another",
        (files) => swap(files, "m-00001-of-00003.gguf", "m-00003-of-00003.gguf"),
        "GGUF_SPLIT_INVALID",
      ],
      [
        "a file twice",
        (files) => {
          const other = planGgufSplits({
            metadata,
            tensors: tensors.slice(0, 5).toReversed(),
            division: { maxTensors: 2 },
          });
          files.set("m-00002-of-00003.gguf", filesOf(other).get("m-00002-of-00003.gguf") ?? new Uint8Array());
        },
        "GGUF_DUPLICATE_TENSOR",
      ],
      [
        "a count that is wrong",
        (files) => {
          const other = planGgufSplits({
            metadata,
            tensors: tensors.slice(0, 4),
            division: { maxTensors: 2 },
          });
          files.set("m-00001-of-00003.gguf", [...filesOf(other).values()][0] ?? new Uint8Array());
        },
        "GGUF_SPLIT_INVALID",
      ],
      [
        "tensors that are missing",
        (files) => {
          const other = planGgufSplits({
            metadata,
            tensors: tensors.slice(0, 5),
            division: { maxTensors: 3, firstWithoutTensors: true },
          });
          files.set("m-00003-of-00003.gguf", [...filesOf(other).values()][2] ?? new Uint8Array());
        },
        "GGUF_SPLIT_INVALID",
      ],
    ];

  it.each(damage)("refuses %s, and closes what it opened", async (_what, change, code) => {
    const contents = filesOf(layouts);
    change(contents);
    const files = disk(contents);
    const reading = readGgufSet({ fileName: "m-00001-of-00003.gguf", open: files.open });
    await expect(reading).rejects.toMatchObject(
      code === undefined ? { message: /no file/ } : { name: "QuernError", code },
    );
    expect(files.stillOpen()).toBe(0);
  });

  it("refuses a set under a name that does not lead to its files, and keys of other types", async () => {
    const [first = new Uint8Array()] = filesOf(layouts).values();
    const renamed = disk(new Map([["first.gguf", first]]));
    await expect(readGgufSet({ fileName: "first.gguf", open: renamed.open })).rejects.toMatchObject({
      code: "GGUF_SPLIT_INVALID",
    });
    const odd = planGguf({ metadata: new Map([["split.count", ggufUint32(2)]]), tensors: [] });
    const files = disk(new Map([["odd.gguf", odd.header]]));
    await expect(readGgufSet({ fileName: "odd.gguf", open: files.open })).rejects.toMatchObject({
      code: "GGUF_SPLIT_INVALID",
      subject: { key: "split.count" },
    });
  });
});
