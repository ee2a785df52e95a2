import {
  type ByteSource,
  bytesSource,
  byteSize,
  ELEMENT_TYPES,
  type ElementType,
  QuernError,
  type TensorInfo,
} from "@quern/tensor";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readSafetensors } from "./read/file.ts";
import { planSafetensorsShards } from "./shards/plan-shards.ts";
import { serializeSafetensors, type SafetensorsTensorData } from "./write/serialize.ts";
import { readShardedSafetensors } from "./shards/sharded-file.ts";
import { readSafetensorsIndex } from "./shards/sharded-index.ts";

const type = fc.constantFrom(...(Object.keys(ELEMENT_TYPES) as ElementType[]));
const text = fc.string({ unit: "grapheme", maxLength: 12 });
const metadata = fc.dictionary(text, text, { maxKeys: 4 });

const info: fc.Arbitrary<TensorInfo> = fc
  .record({
    name: text.filter((name) => name !== "__metadata__"),
    type,
    shape: fc.array(fc.nat({ max: 5 }), { maxLength: 4 }),
  })
  // Packed types end at a byte boundary when a dimension is even.
  .map((tensor) =>
    ELEMENT_TYPES[tensor.type].bits < 8 ? { ...tensor, shape: [...tensor.shape, 2] } : tensor,
  );

const tensors: fc.Arbitrary<SafetensorsTensorData[]> = fc
  .uniqueArray(info, { selector: ({ name }) => name, maxLength: 8 })
  .chain((infos) =>
    fc.tuple(
      ...infos.map((tensor) => {
        const size = byteSize(tensor);
        return fc.uint8Array({ minLength: size, maxLength: size }).map((bytes) => ({ ...tensor, bytes }));
      }),
    ),
  );

function byName(list: readonly SafetensorsTensorData[]): Map<string, SafetensorsTensorData> {
  return new Map(list.map((tensor) => [tensor.name, tensor]));
}

describe("writing and reading", () => {
  it("gives the same tensors and metadata", async () => {
    await fc.assert(
      fc.asyncProperty(tensors, metadata, async (written, notes) => {
        const bytes = serializeSafetensors({ tensors: written, metadata: notes });
        const file = await readSafetensors(bytesSource({ bytes }));
        expect(Object.entries(file.metadata)).toEqual(Object.entries(notes));
        const read = new Map<string, SafetensorsTensorData>();
        for (const [name, tensor] of file.tensors)
          read.set(name, { ...tensor.info, bytes: await tensor.read() });
        expect(read).toEqual(byName(written));
      }),
      { numRuns: 300 },
    );
  });

  it("does not depend on the order of the tensors", () => {
    fc.assert(
      fc.property(tensors, (list) => {
        const bytes = serializeSafetensors({ tensors: list });
        expect(serializeSafetensors({ tensors: list.toReversed() })).toEqual(bytes);
      }),
    );
  });

  it("gives the same tensors through shards and an index", async () => {
    await fc.assert(
      fc.asyncProperty(tensors, fc.integer({ min: 1, max: 400 }), async (written, maxShardSize) => {
        const plan = planSafetensorsShards({ tensors: written, maxShardSize });
        fc.pre(plan.index !== undefined);
        const data = byName(written);
        const files = new Map<string, Uint8Array>();
        for (const { fileName, layout } of plan.shards) {
          const bytes = new Uint8Array(layout.fileSize);
          bytes.set(layout.header);
          for (const [name, { offset }] of layout.tensors) bytes.set(data.get(name)!.bytes, offset);
          files.set(fileName, bytes);
        }
        const index = await readSafetensorsIndex(bytesSource({ bytes: plan.index.bytes }));
        const open = async (fileName: string): Promise<ByteSource> =>
          bytesSource({ bytes: files.get(fileName)!, name: fileName });
        const sharded = await readShardedSafetensors({ index, open });
        const read = new Map<string, SafetensorsTensorData>();
        for (const [name, tensor] of sharded.tensors)
          read.set(name, { ...tensor.info, bytes: await tensor.read() });
        expect(read).toEqual(data);
      }),
    );
  });
});

interface Mutation {
  readonly kind: "flip" | "set" | "insert" | "delete" | "cut";
  /** Whether only the JSON is damaged and the length before it is right again. */
  readonly framed: boolean;
  /** Place as a fraction of the size, and the new bytes. */
  readonly at: number;
  readonly bytes: Uint8Array;
}

const SYNTAX = ['"', "{", "}", "[", "]", ",", ":", "\\", "\\u0000", '"a":1,', "null"];
const NUMBERS = [
  "0",
  "1",
  "2",
  "9",
  "-",
  "1e400",
  ".5",
  "99999999999999999999",
  "9007199254740991",
  ",0",
  "0,",
];

/** Evenly spread from 0 to 1, unlike fast-check's doubles, most of which are close to 0. */
const fraction = fc.nat({ max: 10_000 }).map((n) => n / 10_000);

const mutation: fc.Arbitrary<Mutation> = fc.record({
  kind: fc.constantFrom("flip", "set", "insert", "delete", "cut"),
  framed: fc.boolean(),
  at: fraction,
  bytes: fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 9 }),
    fc.constantFrom(...SYNTAX, ...NUMBERS, ...NUMBERS).map((token) => new TextEncoder().encode(token)),
  ),
});

function damage(content: Uint8Array, { kind, at, bytes }: Mutation): Uint8Array {
  const place = Math.min(Math.floor(at * content.length), content.length - 1);
  const before = content.subarray(0, place);
  const parts = {
    flip: () => [
      before,
      Uint8Array.of(content[place]! ^ (1 << (bytes[0]! % 8))),
      content.subarray(place + 1),
    ],
    set: () => [before, bytes, content.subarray(place + bytes.length)],
    insert: () => [before, bytes, content.subarray(place)],
    delete: () => [before, content.subarray(place + bytes.length)],
    cut: () => [before],
  }[kind]();
  return new Uint8Array(Buffer.concat(parts));
}

function mutate(file: Uint8Array, each: Mutation): Uint8Array {
  if (!each.framed) return damage(file, each);
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const end = 8 + Number(view.getBigUint64(0, true));
  const json = damage(file.subarray(8, end), each);
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(json.length), true);
  return new Uint8Array(Buffer.concat([length, json, file.subarray(end)]));
}

/** A source that fails the test when anything outside of the file is asked for, or more than the file holds. */
function guarded(bytes: Uint8Array): { source: ByteSource; asked: () => number } {
  let asked = 0;
  const inner = bytesSource({ bytes, name: "mutated" });
  const source: ByteSource = {
    ...inner,
    read(offset, length, into) {
      asked += length;
      expect(offset >= 0 && length >= 0 && offset + length <= bytes.length).toBe(true);
      return inner.read(offset, length, into);
    },
  };
  return { source, asked: () => asked };
}

describe("damaged files", () => {
  it("are refused with a typed error or read within their bounds", async () => {
    const codes = new Set<string>();
    await fc.assert(
      fc.asyncProperty(
        tensors.filter((list) => list.length > 0),
        metadata,
        mutation,
        async (written, notes, each) => {
          const bytes = mutate(serializeSafetensors({ tensors: written, metadata: notes }), each);
          const { source, asked } = guarded(bytes);
          try {
            const file = await readSafetensors(source);
            expect(asked()).toBeLessThanOrEqual(bytes.length);
            let total = 0;
            for (const tensor of file.tensors.values()) total += (await tensor.read()).byteLength;
            expect(asked()).toBe(bytes.length);
            expect(total).toBeLessThan(bytes.length);
          } catch (error) {
            if (!(error instanceof QuernError)) throw error;
            codes.add(error.code);
          }
        },
      ),
      { numRuns: 4000 },
    );
    expect(codes.size).toBeGreaterThan(8);
  });

  it("never open when they are shortened", async () => {
    await fc.assert(
      fc.asyncProperty(tensors, fraction, async (written, part) => {
        const bytes = serializeSafetensors({ tensors: written });
        const shorter = bytes.subarray(0, Math.floor(part * (bytes.length - 1)));
        await expect(readSafetensors(bytesSource({ bytes: shorter }))).rejects.toThrow(QuernError);
      }),
      { numRuns: 500 },
    );
  });
});
