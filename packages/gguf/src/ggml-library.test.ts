import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findLlamaLibraries, llamaLibraryPath } from "@quern/peers";
import { bytesSource, QuernError } from "@quern/tensor";
import * as fc from "fast-check";
import koffi from "koffi";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { GGML_TYPES, ggmlType, planGguf, readGguf, type GgufFile, type GgufLayout } from "./index.ts";
import { flatMetadata, tensorSpecs } from "./testing/arbitraries.ts";

function openLibrary(folder: string) {
  const library = koffi.load(llamaLibraryPath(folder, "libggml-base"));
  const params = koffi.struct({ no_alloc: "bool", ctx: "void *" });
  const log = koffi.proto("void (int level, const char *text, void *data)");
  const init = library.func("gguf_init_from_file", "void *", ["const char *", params]);
  const tensorNe = library.func("const int64_t *gguf_get_tensor_ne(void *ctx, int64_t id)");
  const silence = koffi.register(() => {}, koffi.pointer(log));
  library.func("ggml_log_set", "void", [koffi.pointer(log), "void *"])(silence, null);
  return {
    open: (file: string): unknown => init(file, { no_alloc: true, ctx: null }),
    close: library.func("void gguf_free(void *ctx)"),
    alignment: library.func("size_t gguf_get_alignment(void *ctx)"),
    dataOffset: library.func("size_t gguf_get_data_offset(void *ctx)"),
    pairCount: library.func("int64_t gguf_get_n_kv(void *ctx)"),
    tensorCount: library.func("int64_t gguf_get_n_tensors(void *ctx)"),
    tensorName: library.func("const char *gguf_get_tensor_name(void *ctx, int64_t id)"),
    tensorType: library.func("int gguf_get_tensor_type(void *ctx, int64_t id)"),
    tensorOffset: library.func("size_t gguf_get_tensor_offset(void *ctx, int64_t id)"),
    tensorSize: library.func("size_t gguf_get_tensor_size(void *ctx, int64_t id)"),
    tensorNe: (context: unknown, id: number): number[] =>
      koffi.decode(tensorNe(context, id), "int64_t", 4) as ArrayLike<number | bigint> as number[],
    headerSize: library.func("size_t gguf_get_meta_size(void *ctx)"),
    header: library.func("void gguf_get_meta_data(void *ctx, void *data)"),
    typeName: library.func("const char *ggml_type_name(int type)"),
    typeSize: library.func("size_t ggml_type_size(int type)"),
    blockSize: library.func("int64_t ggml_blck_size(int type)"),
  };
}

function fileOf(layout: GgufLayout): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(layout.fileSize);
  bytes.set(layout.header);
  return bytes;
}

function hasNestedArray({ metadata }: GgufFile): boolean {
  return [...metadata.values()].some((value) => value.type === "array" && value.elements === "array");
}

function isContiguous({ tensors, dataOffset, alignment }: GgufFile): boolean {
  let expected = dataOffset;
  for (const { offset, size } of tensors.values()) {
    if (offset !== expected) return false;
    expected = Math.ceil((offset + size) / alignment) * alignment;
  }
  return true;
}

const found = findLlamaLibraries();

describe.skipIf("missing" in found)(
  `the real ggml${"missing" in found ? ` (skipped: ${found.missing})` : ""}`,
  () => {
    let ggml: ReturnType<typeof openLibrary>;
    let folder: string;
    let file: string;

    beforeAll(() => {
      if ("folder" in found) ggml = openLibrary(found.folder);
      folder = mkdtempSync(join(tmpdir(), "quern-gguf-"));
      file = join(folder, "test.gguf");
    });
    afterAll(() => rmSync(folder, { recursive: true }));

    function withContext<Result>(bytes: Uint8Array, use: (context: unknown) => Result): Result | undefined {
      writeFileSync(file, bytes);
      const context = ggml.open(file);
      if (context === null) return undefined;
      try {
        return use(context);
      } finally {
        ggml.close(context);
      }
    }

    it("has the same tensor types", () => {
      const idsInUse = Array.from({ length: 43 }, (_, id) => id).filter(
        (id) => Number(ggml.blockSize(id)) > 0,
      );
      expect(GGML_TYPES.map(({ id }) => id)).toEqual(idsInUse);
      for (const { id, name, blockSize, typeSize } of GGML_TYPES) {
        expect(ggml.typeName(id).toUpperCase()).toBe(name);
        expect([Number(ggml.blockSize(id)), Number(ggml.typeSize(id))]).toEqual([blockSize, typeSize]);
      }
    });

    it("reads what we write, and writes the same header", () => {
      fc.assert(
        fc.property(flatMetadata, tensorSpecs, fc.constantFrom(16, 32, 512), (metadata, specs, alignment) => {
          const layout = planGguf({ metadata, tensors: specs, alignment });
          const read = withContext(fileOf(layout), (context) => {
            expect(Number(ggml.pairCount(context))).toBe(layout.metadata.size);
            expect(Number(ggml.alignment(context))).toBe(alignment);
            expect(Number(ggml.dataOffset(context))).toBe(layout.header.length);
            expect(Number(ggml.tensorCount(context))).toBe(specs.length);
            for (const [id, { name, type, ne, offset, size }] of layout.tensors.entries()) {
              expect(ggml.tensorName(context, id)).toBe(name);
              expect(ggml.tensorType(context, id)).toBe(ggmlType(type).id);
              expect([...ggml.tensorNe(context, id)].map(Number)).toEqual([...ne, 1, 1, 1].slice(0, 4));
              expect(Number(ggml.tensorOffset(context, id))).toBe(offset - layout.header.length);
              expect(Number(ggml.tensorSize(context, id))).toBe(size);
            }
            const header = new Uint8Array(Number(ggml.headerSize(context)));
            ggml.header(context, header);
            return header;
          });
          // ggml pads the header even where there are no tensors.
          const padding = new Uint8Array((alignment - (layout.header.length % alignment)) % alignment);
          expect(read).toEqual(Uint8Array.from([...layout.header, ...padding]));
        }),
        { numRuns: 150 },
      );
    });

    it("writes the same header as we do for it, dimensions of 1 and files without tensors included", () => {
      fc.assert(
        fc.property(flatMetadata, tensorSpecs, fc.nat(2), (metadata, specs, ones) => {
          const tensors = specs.map(({ ne, ...spec }) => ({
            ...spec,
            ne: [...ne, ...Array.from({ length: Math.min(ones, 4 - ne.length) }, () => 1)],
          }));
          const layout = planGguf({ metadata, tensors, asGgml: true });
          const read = withContext(fileOf(layout), (context) => {
            const header = new Uint8Array(Number(ggml.headerSize(context)));
            ggml.header(context, header);
            return header;
          });
          expect(read).toEqual(layout.header);
        }),
        { numRuns: 100 },
      );
    });

    it("reads every damaged file that we read", async () => {
      const outcomes = { both: 0, neither: 0, ggmlOnly: 0 };
      const damage = fc.record({ at: fc.nat(), value: fc.integer({ min: 0, max: 255 }) });
      await fc.assert(
        fc.asyncProperty(flatMetadata, tensorSpecs, damage, async (metadata, tensors, { at, value }) => {
          const bytes = fileOf(planGguf({ metadata, tensors }));
          bytes[at % bytes.length] = value;
          const accepted = withContext(bytes, () => true) ?? false;
          let ours: GgufFile | undefined;
          try {
            ours = await readGguf(bytesSource({ bytes }));
          } catch (error) {
            if (!(error instanceof QuernError)) throw error;
          }
          // ggml also refuses arrays of arrays, and tensors that do not follow one another without gaps in order.
          const readable = ours !== undefined && !hasNestedArray(ours) && isContiguous(ours);
          expect(accepted || !readable).toBe(true);
          outcomes[ours === undefined ? (accepted ? "ggmlOnly" : "neither") : "both"]++;
        }),
        { numRuns: 1000 },
      );
      expect(outcomes.both).toBeGreaterThan(0);
      expect(outcomes.neither).toBeGreaterThan(0);
    });
  },
);
