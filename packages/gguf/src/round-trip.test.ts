import { bytesSource, QuernError } from "@quern/tensor";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  ggufArray,
  ggufFloat32,
  ggufString,
  ggufUint32,
  type GgufArrayValue,
  type GgufLayout,
  type GgufMetadata,
  type GgufValue,
  planGguf,
  readGguf,
} from "./index.ts";
import { anyMetadata, plain, tensorSpecs } from "./testing/arbitraries.ts";

function fileOf(layout: GgufLayout): Uint8Array {
  const bytes = new Uint8Array(layout.fileSize);
  bytes.set(layout.header);
  return bytes;
}

/** Elements of all arrays by random access, the last one first. */
function backwards(metadata: GgufMetadata): unknown[] {
  const elements = (array: GgufArrayValue): unknown[] =>
    Array.from({ length: array.length }, (_, index) => {
      const element = array.at(array.length - 1 - index);
      return typeof element === "object" ? elements(element) : element;
    });
  return [...metadata.values()].map((value) => (value.type === "array" ? elements(value) : []));
}

describe("what is written", () => {
  it("reads back equal, with random access and in order", async () => {
    await fc.assert(
      fc.asyncProperty(
        anyMetadata,
        tensorSpecs,
        fc.constantFrom(1, 8, 32, 64, 4096),
        async (metadata, specs, alignment) => {
          const layout = planGguf({ metadata, tensors: specs, alignment });
          const file = await readGguf(bytesSource({ bytes: fileOf(layout) }));

          expect(plain(file.metadata)).toEqual(plain(layout.metadata));
          expect([...file.tensors.values()]).toEqual(layout.tensors);
          expect(file).toMatchObject({ version: 3, alignment });
          expect(file.dataOffset).toBe(layout.header.byteLength);
          expect(backwards(file.metadata)).toEqual(backwards(layout.metadata));
          const again = planGguf({ metadata: file.metadata, tensors: specs });
          expect(again.header).toEqual(layout.header);
          expect(again.fileSize).toBe(layout.fileSize);
        },
      ),
      { numRuns: 200 },
    );
  });

  it("places tensors one after another, aligned", () => {
    fc.assert(
      fc.property(tensorSpecs, fc.constantFrom(1, 32, 256), (specs, alignment) => {
        const { tensors, header, fileSize } = planGguf({ metadata: new Map(), tensors: specs, alignment });
        let end = header.byteLength;
        for (const { offset, size } of tensors) {
          expect(offset % alignment).toBe(0);
          expect(offset).toBeGreaterThanOrEqual(end);
          expect(offset - end).toBeLessThan(alignment);
          end = offset + size;
        }
        expect(fileSize - end).toBeLessThan(alignment);
      }),
    );
  });

  it("never crashes or hangs on a damaged copy", async () => {
    const damage = fc.oneof(
      fc.record({ at: fc.nat(), value: fc.integer({ min: 0, max: 255 }) }),
      fc.record({ at: fc.nat(), value: fc.constantFrom(0, 9, 255) }),
    );
    let accepted = 0;
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(
        anyMetadata,
        tensorSpecs,
        fc.array(damage, { minLength: 1, maxLength: 4 }),
        fc.option(fc.nat()),
        async (metadata, tensors, damages, cut) => {
          let bytes = fileOf(planGguf({ metadata, tensors }));
          for (const { at, value } of damages) bytes[at % bytes.length] = value;
          if (cut !== null) bytes = bytes.subarray(0, cut % bytes.length);
          try {
            const file = await readGguf(bytesSource({ bytes }));
            plain(file.metadata);
            for (const { name, offset, size } of file.tensors.values()) {
              expect(offset + size).toBeLessThanOrEqual(bytes.length);
              await file.readTensor(name);
            }
            accepted++;
          } catch (error) {
            if (!(error instanceof QuernError && error.code.startsWith("GGUF_"))) throw error;
            refused++;
          }
        },
      ),
      { numRuns: 1500 },
    );
    expect(accepted).toBeGreaterThan(0);
    expect(refused).toBeGreaterThan(0);
  });
});

describe("reading", () => {
  it("loads a large header in growing chunks, and no tensor data", async () => {
    const tokens = Array.from({ length: 150_000 }, (_, index) => `token ${index} é`);
    const layout = planGguf({
      metadata: new Map([["tokenizer.ggml.tokens", ggufArray("string", tokens)]]),
      tensors: [{ name: "weights", type: "F32", ne: [1024, 1024, 4] }],
    });
    const inner = bytesSource({ bytes: fileOf(layout) });
    const reads: [number, number][] = [];
    const file = await readGguf({
      ...inner,
      read: (offset, length, into) => {
        reads.push([offset, length]);
        return inner.read(offset, length, into);
      },
    });
    expect(reads).toEqual([
      [0, 2 ** 20],
      [2 ** 20, 2 ** 20],
      [2 ** 21, 2 ** 21],
    ]);
    const value = file.metadata.get("tokenizer.ggml.tokens");
    expect(value?.type === "array" ? value.at(149_999) : undefined).toBe(tokens[149_999]);
    expect(value?.type === "array" ? [...value] : undefined).toEqual(tokens);
  });

  it("keeps the bytes of strings that are not UTF-8", async () => {
    const layout = planGguf({
      metadata: new Map([["k", ggufArray("string", ["ab", "\ufeffc"])]]),
      tensors: [],
    });
    const bytes = layout.header.slice();
    bytes[bytes.indexOf(0x61)] = 0xff;
    const file = await readGguf(bytesSource({ bytes }));
    const value = file.metadata.get("k");
    expect(value?.type === "array" ? [...value] : undefined).toEqual(["\ufffdb", "\ufeffc"]);
    expect(planGguf({ metadata: file.metadata, tensors: [] }).header).toEqual(bytes);
  });

  it("reads version 2, which has the same layout", async () => {
    const bytes = planGguf({ metadata: new Map([["k", ggufUint32(7)]]), tensors: [] }).header.slice();
    bytes[4] = 2;
    const file = await readGguf(bytesSource({ bytes }));
    expect(file.version).toBe(2);
    expect(file.metadata.get("k")).toEqual(ggufUint32(7));
  });

  it("reads tensors and rows", async () => {
    const layout = planGguf({
      metadata: new Map([["general.name", ggufString("x")]]),
      tensors: [
        { name: "a", type: "F16", ne: [3] },
        { name: "b", type: "Q8_0", ne: [64, 2, 3] },
      ],
    });
    const bytes = fileOf(layout);
    for (let index = layout.header.length; index < bytes.length; index++) bytes[index] = index % 251;
    const file = await readGguf(bytesSource({ bytes, name: "m.gguf" }));
    const { offset = 0, size = 0 } = file.tensors.get("b") ?? {};
    expect(size).toBe(6 * 68);
    expect(await file.readTensor("b")).toEqual(bytes.subarray(offset, offset + size));
    const into = new Uint8Array(2 * 68);
    await file.readRows({ name: "b", start: 3, count: 2, into });
    expect(into).toEqual(bytes.subarray(offset + 3 * 68, offset + 5 * 68));
    expect(await file.readRows({ name: "a", start: 0, count: 1 })).toHaveLength(6);

    await expect(file.readTensor("c")).rejects.toMatchObject({
      code: "GGUF_TENSOR_NOT_FOUND",
      subject: { file: "m.gguf", tensor: "c" },
    });
    for (const [start, count] of [
      [0, 7],
      [6, 1],
      [-1, 1],
      [0.5, 1],
      [2, Number.NaN],
    ] as const) {
      await expect(file.readRows({ name: "b", start, count })).rejects.toMatchObject({
        code: "GGUF_ROWS_OUT_OF_RANGE",
      });
    }
  });

  it("refuses elements beyond an array", async () => {
    const made = ggufArray("float32", new Float32Array([1, 2]));
    const layout = planGguf({
      metadata: new Map<string, GgufValue>([
        ["k", made],
        ["s", ggufArray("string", ["a"])],
        ["f", ggufFloat32(0.1)],
      ]),
      tensors: [],
    });
    const file = await readGguf(bytesSource({ bytes: layout.header }));
    expect(file.metadata.get("f")).toEqual({ type: "float32", value: Math.fround(0.1) });
    for (const array of [made, file.metadata.get("k"), file.metadata.get("s")]) {
      if (array?.type !== "array") throw new Error("not an array");
      for (const index of [-1, array.length, 0.5, Number.NaN]) {
        expect(() => array.at(index)).toThrow(expect.objectContaining({ code: "GGUF_INDEX_OUT_OF_RANGE" }));
      }
    }
  });
});
