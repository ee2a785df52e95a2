import { bytesSource } from "@quern/tensor";
import { describe, expect, it } from "vitest";
import { readGguf } from "./index.ts";
import { RawGguf } from "./testing/raw-gguf.ts";

const UINT32 = 4;
const STRING = 8;
const ARRAY = 9;

const file = (): RawGguf => new RawGguf();
const onePair = (): RawGguf => file().head({ pairs: 1 });
const oneTensor = (): RawGguf => file().head({ tensors: 1 });

/** `depth` arrays within one another, the innermost empty. */
function nested(depth: number): RawGguf {
  const raw = onePair().string("k").uint32(ARRAY);
  for (let level = 1; level < depth; level++) raw.uint32(ARRAY).uint64(1);
  return raw.uint32(UINT32).uint64(0);
}

const CASES: readonly [what: string, raw: RawGguf, code: string, subject?: object][] = [
  ["an empty file", file(), "GGUF_TRUNCATED"],
  ["another magic", file().text("GGML").uint32(3), "GGUF_NOT_GGUF", { offset: 0 }],
  ["only a magic", file().text("GGUF"), "GGUF_TRUNCATED"],
  ["version 0", file().head({ version: 0 }), "GGUF_VERSION_UNSUPPORTED", { offset: 4 }],
  ["version 1", file().head({ version: 1 }), "GGUF_VERSION_UNSUPPORTED"],
  ["version 4", file().head({ version: 4 }), "GGUF_VERSION_UNSUPPORTED"],
  ["a big-endian file", file().text("GGUF").bytes(0, 0, 0, 3), "GGUF_BIG_ENDIAN"],
  ["2^62 tensors", file().head({ tensors: 2n ** 62n }), "GGUF_TRUNCATED"],
  ["-1 tensors", file().head({ tensors: -1n }), "GGUF_TRUNCATED"],
  ["2^63 - 1 pairs", file().head({ pairs: 2n ** 63n - 1n }), "GGUF_TRUNCATED"],
  ["more pairs than fit", file().head({ pairs: 2 }).string("a").uint32(UINT32).uint32(1), "GGUF_TRUNCATED"],
  [
    "a key of 2^60 bytes",
    onePair()
      .uint64(2n ** 60n)
      .data(64),
    "GGUF_TRUNCATED",
    { offset: 32 },
  ],
  ["an empty key", onePair().string("").uint32(UINT32).uint32(1), "GGUF_KEY_INVALID"],
  [
    "a key twice",
    file().head({ pairs: 2 }).string("k").uint32(UINT32).uint32(1).string("k").uint32(UINT32).uint32(1),
    "GGUF_DUPLICATE_KEY",
    { key: "k", offset: 41 },
  ],
  [
    "value type 13",
    onePair().string("k").uint32(13).uint32(1),
    "GGUF_VALUE_TYPE_UNKNOWN",
    { key: "k", offset: 33 },
  ],
  [
    "element type 77",
    onePair().string("k").uint32(ARRAY).uint32(77).uint64(0),
    "GGUF_VALUE_TYPE_UNKNOWN",
    { offset: 37 },
  ],
  [
    "a string beyond the file",
    onePair().string("k").uint32(STRING).uint64(1000).text("abc"),
    "GGUF_TRUNCATED",
  ],
  [
    "an array of 2^60 bytes",
    onePair()
      .string("k")
      .uint32(ARRAY)
      .uint32(0)
      .uint64(2n ** 60n),
    "GGUF_TRUNCATED",
  ],
  [
    "an array of 2^32 strings",
    onePair()
      .string("k")
      .uint32(ARRAY)
      .uint32(STRING)
      .uint64(2 ** 32)
      .data(64),
    "GGUF_TRUNCATED",
  ],
  [
    "a string in an array beyond the file",
    onePair().string("k").uint32(ARRAY).uint32(STRING).uint64(2).string("a").uint64(9),
    "GGUF_TRUNCATED",
  ],
  [
    "2^40 arrays in an array",
    onePair()
      .string("k")
      .uint32(ARRAY)
      .uint32(ARRAY)
      .uint64(2 ** 40)
      .data(64),
    "GGUF_TRUNCATED",
  ],
  ["nine nested arrays", nested(9), "GGUF_NESTING_TOO_DEEP"],
  ["10,000 nested arrays", nested(10_000), "GGUF_NESTING_TOO_DEEP"],
  [
    "alignment 0",
    onePair().string("general.alignment").uint32(UINT32).uint32(0),
    "GGUF_ALIGNMENT_INVALID",
    { key: "general.alignment" },
  ],
  ["alignment 24", onePair().string("general.alignment").uint32(UINT32).uint32(24), "GGUF_ALIGNMENT_INVALID"],
  [
    "alignment as uint64",
    onePair().string("general.alignment").uint32(10).uint64(32),
    "GGUF_ALIGNMENT_INVALID",
  ],
  [
    "alignment as array",
    onePair().string("general.alignment").uint32(ARRAY).uint32(UINT32).uint64(1).uint32(32),
    "GGUF_ALIGNMENT_INVALID",
  ],
  [
    "a tensor name of 64 bytes",
    oneTensor()
      .tensor({ name: "x".repeat(64) })
      .data(32),
    "GGUF_TENSOR_NAME_INVALID",
    { offset: 24 },
  ],
  [
    "a tensor name of 2^63 bytes",
    oneTensor()
      .uint64(2n ** 63n)
      .data(64),
    "GGUF_TENSOR_NAME_INVALID",
  ],
  [
    "a tensor name twice",
    file().head({ tensors: 2 }).tensor({}).tensor({ offset: 32 }).data(64),
    "GGUF_DUPLICATE_TENSOR",
    { tensor: "t", offset: 57 },
  ],
  [
    "5 dimensions",
    oneTensor()
      .tensor({ ne: [1, 1, 1, 1, 1] })
      .data(32),
    "GGUF_TENSOR_SHAPE_INVALID",
    { tensor: "t" },
  ],
  [
    "2^32 - 1 dimensions",
    oneTensor()
      .tensor({ ne: [], dimensions: 2 ** 32 - 1 })
      .data(32),
    "GGUF_TENSOR_SHAPE_INVALID",
  ],
  [
    "a negative dimension",
    oneTensor()
      .tensor({ ne: [-1n] })
      .data(32),
    "GGUF_TENSOR_SHAPE_INVALID",
  ],
  [
    "a product beyond 2^53",
    oneTensor()
      .tensor({ ne: [2 ** 30, 2 ** 30] })
      .data(32),
    "GGUF_TENSOR_SHAPE_INVALID",
  ],
  [
    "a row that is not whole blocks",
    oneTensor()
      .tensor({ ne: [100], type: 12 })
      .data(512),
    "GGUF_TENSOR_SHAPE_INVALID",
  ],
  [
    "a removed type",
    oneTensor().tensor({ type: 4 }).data(32),
    "GGUF_TENSOR_TYPE_UNKNOWN",
    { tensor: "t", offset: 24 },
  ],
  ["type 43", oneTensor().tensor({ type: 43 }).data(32), "GGUF_TENSOR_TYPE_UNKNOWN"],
  [
    "type -1",
    oneTensor()
      .tensor({ type: 2 ** 32 - 1 })
      .data(32),
    "GGUF_TENSOR_TYPE_UNKNOWN",
  ],
  ["an offset off the alignment", oneTensor().tensor({ offset: 8 }).data(64), "GGUF_TENSOR_MISALIGNED"],
  [
    "an offset beyond the file",
    oneTensor()
      .tensor({ offset: 2n ** 63n })
      .data(64),
    "GGUF_TENSOR_OUTSIDE_FILE",
  ],
  [
    "data beyond the file",
    oneTensor()
      .tensor({ ne: [9] })
      .data(35),
    "GGUF_TENSOR_OUTSIDE_FILE",
  ],
  ["no data", oneTensor().tensor({}), "GGUF_TENSOR_OUTSIDE_FILE"],
  [
    "tensors in one place",
    file().head({ tensors: 2 }).tensor({ name: "a" }).tensor({ name: "b" }).data(64),
    "GGUF_TENSOR_OVERLAP",
    { tensor: "b" },
  ],
  [
    "tensors that overlap",
    file()
      .head({ tensors: 2 })
      .tensor({ name: "a", offset: 32 })
      .tensor({ name: "b", ne: [9] })
      .data(128),
    "GGUF_TENSOR_OVERLAP",
  ],
];

describe("hostile files", () => {
  it.each(CASES)("refuses %s", async (_what, raw, code, subject = {}) => {
    await expect(readGguf(bytesSource({ bytes: raw.build(), name: "bad.gguf" }))).rejects.toMatchObject({
      name: "QuernError",
      code,
      message: expect.stringMatching(/^bad\.gguf: /),
      subject: { file: "bad.gguf", ...subject },
    });
  });

  it.each([
    ["no pairs and no tensors", file().head()],
    ["eight nested arrays", nested(8)],
    ["no dimensions, as ggml", oneTensor().tensor({ ne: [] }).data(4)],
    [
      "a dimension of 0, as ggml",
      oneTensor()
        .tensor({ ne: [0, 2] })
        .data(0),
    ],
    [
      "data without padding at the end",
      oneTensor()
        .tensor({ ne: [9] })
        .data(36),
    ],
    [
      "tensors out of order",
      file().head({ tensors: 2 }).tensor({ name: "a", offset: 32 }).tensor({ name: "b" }).data(64),
    ],
  ])("reads %s", async (_what, raw) => {
    await expect(readGguf(bytesSource({ bytes: raw.build() }))).resolves.toMatchObject({ version: 3 });
  });

  it("does not load more than a header may have", async () => {
    const bytes = onePair()
      .string("k")
      .uint32(STRING)
      .uint64(2 ** 21)
      .data(2 ** 21)
      .build();
    const source = bytesSource({ bytes, name: "big.gguf" });
    await expect(readGguf(source, { maxHeaderSize: 2 ** 20 })).rejects.toMatchObject({
      code: "GGUF_HEADER_TOO_LARGE",
    });
    await expect(readGguf(source)).resolves.toMatchObject({ version: 3 });
  });

  it("refuses a long string before it reads it", async () => {
    const bytes = onePair()
      .string("k")
      .uint32(STRING)
      .uint64(2 ** 31)
      .build();
    const reads: number[] = [];
    const source = {
      ...bytesSource({ bytes }),
      size: 2 ** 40,
      async read(_offset: number, length: number): Promise<Uint8Array> {
        reads.push(length);
        const start = new Uint8Array(length);
        start.set(bytes);
        return start;
      },
    };
    await expect(readGguf(source)).rejects.toMatchObject({ code: "GGUF_STRING_TOO_LONG" });
    expect(reads).toEqual([2 ** 20]);
  });
});
