import { describe, expect, it } from "vitest";
import {
  ggufArray,
  ggufBool,
  ggufFloat32,
  ggufInt16,
  ggufInt32,
  ggufInt64,
  ggufInt8,
  ggufScalar,
  ggufString,
  ggufUint16,
  ggufUint32,
  ggufUint64,
  ggufUint8,
  type GgufArrayValue,
  type GgufMetadata,
  type GgufTensorSpec,
  type GgufValue,
  planGguf,
} from "../index.ts";

const plan = (metadata: [string, GgufValue][], tensors: GgufTensorSpec[] = [], alignment?: number) =>
  planGguf({ metadata: new Map(metadata), tensors, ...(alignment === undefined ? {} : { alignment }) });

function arrayThatSays(length: number, values: readonly number[]): GgufArrayValue {
  const array = ggufArray("int8", values);
  const at = (index: number) => array.at(index);
  return { type: "array", elements: "int8", length, at, [Symbol.iterator]: () => values[Symbol.iterator]() };
}

describe("planGguf", () => {
  it("writes the bytes of the specification", () => {
    const { header } = plan(
      [
        ["a", ggufUint16(0x1234)],
        ["b", ggufArray("string", ["é"])],
      ],
      [{ name: "t", type: "F16", ne: [2, 3] }],
    );
    const hex = Buffer.from(header).toString("hex");
    expect(hex).toBe(
      [
        "47475546",
        "03000000",
        "0100000000000000",
        "0200000000000000",
        "0100000000000000",
        "61",
        "02000000",
        "3412",
        "0100000000000000",
        "62",
        "09000000",
        "08000000",
        "0100000000000000",
        "0200000000000000",
        "c3a9",
        "0100000000000000",
        "74",
        "02000000",
        "0200000000000000",
        "0300000000000000",
        "01000000",
        "0000000000000000",
      ]
        .join("")
        .padEnd(128 * 2, "0"),
    );
  });

  it("pads the end of the last tensor, and no header without tensors", () => {
    const { header, fileSize, tensors } = plan([], [{ name: "t", type: "I8", ne: [33] }]);
    expect(header.length % 32).toBe(0);
    expect(tensors).toEqual([{ name: "t", type: "I8", ne: [33], offset: header.length, size: 33 }]);
    expect(fileSize).toBe(header.length + 64);
    expect(plan([])).toMatchObject({ header: { length: 24 }, fileSize: 24 });
  });

  it("takes the alignment from the metadata, or puts it there", () => {
    expect(plan([["general.alignment", ggufUint32(64)]]).alignment).toBe(64);
    expect(plan([["general.alignment", ggufUint32(64)]], [], 64).alignment).toBe(64);
    const metadata: GgufMetadata = new Map([["k", ggufBool(true)]]);
    const layout = planGguf({ metadata, tensors: [], alignment: 128 });
    expect([...layout.metadata]).toEqual([...metadata, ["general.alignment", ggufUint32(128)]]);
    expect(metadata.size).toBe(1);
    expect(planGguf({ metadata, tensors: [], alignment: 32 }).metadata.has("general.alignment")).toBe(false);
  });

  it.each([
    ["an alignment that is no power of two", () => plan([], [], 48), "GGUF_ALIGNMENT_INVALID"],
    ["an alignment of 0", () => plan([], [], 0), "GGUF_ALIGNMENT_INVALID"],
    ["two alignments", () => plan([["general.alignment", ggufUint32(64)]], [], 32), "GGUF_ALIGNMENT_INVALID"],
    [
      "an alignment of another type",
      () => plan([["general.alignment", ggufInt32(64)]]),
      "GGUF_ALIGNMENT_INVALID",
    ],
    ["an empty key", () => plan([["", ggufBool(true)]]), "GGUF_KEY_INVALID"],
    ["a key of 65536 bytes", () => plan([["k".repeat(65_536), ggufBool(true)]]), "GGUF_KEY_INVALID"],
    ["a key beyond ASCII", () => plan([["clé", ggufBool(true)]]), "GGUF_KEY_INVALID"],
    ["a value of another type", () => plan([["k", { type: "uint8", value: 256 }]]), "GGUF_VALUE_INVALID"],
    [
      "an unknown value type",
      () => plan([["k", { type: "uint128" as "uint8", value: 1 }]]),
      "GGUF_VALUE_INVALID",
    ],
    [
      "an array that is shorter than it says",
      () => plan([["k", arrayThatSays(2, [1])]]),
      "GGUF_VALUE_INVALID",
    ],
    [
      "an array that is longer than it says",
      () => plan([["k", arrayThatSays(1, [1, 2])]]),
      "GGUF_VALUE_INVALID",
    ],
  ])("refuses %s", (_what, make, code) => {
    expect(make).toThrow(expect.objectContaining({ name: "QuernError", code }));
  });

  it("accepts the longest key and tensor name", () => {
    expect(() =>
      plan([["k".repeat(65_535), ggufBool(true)]], [{ name: "n".repeat(63), type: "F32", ne: [1] }]),
    ).not.toThrow();
  });

  it.each([
    [{ name: "n".repeat(64), type: "F32", ne: [1] }, "GGUF_TENSOR_NAME_INVALID"],
    [{ name: "é".repeat(32), type: "F32", ne: [1] }, "GGUF_TENSOR_NAME_INVALID"],
    [{ name: "", type: "F32", ne: [1] }, "GGUF_TENSOR_NAME_INVALID"],
    [{ name: "a\0b", type: "F32", ne: [1] }, "GGUF_TENSOR_NAME_INVALID"],
    [{ name: "\ud800", type: "F32", ne: [1] }, "GGUF_TENSOR_NAME_INVALID"],
    [{ name: "first", type: "F32", ne: [1] }, "GGUF_DUPLICATE_TENSOR"],
    [{ name: "t", type: "f32", ne: [1] }, "GGML_TYPE_UNKNOWN"],
    [{ name: "t", type: "F32", ne: [] }, "GGUF_TENSOR_SHAPE_INVALID"],
    [{ name: "t", type: "F32", ne: [1, 1, 1, 1, 1] }, "GGUF_TENSOR_SHAPE_INVALID"],
    [{ name: "t", type: "F32", ne: [-1] }, "GGUF_TENSOR_SHAPE_INVALID"],
    [{ name: "t", type: "Q4_K", ne: [100, 2] }, "GGUF_TENSOR_SHAPE_INVALID"],
    [{ name: "t", type: "I8", ne: [2 ** 52, 2 ** 2] }, "GGUF_TENSOR_SHAPE_INVALID"],
  ])("refuses tensor %j", (tensor, code) => {
    const make = () => plan([], [{ name: "first", type: "F32", ne: [1] }, tensor]);
    expect(make).toThrow(expect.objectContaining({ name: "QuernError", code }));
  });

  it("refuses a file of 2^53 bytes", () => {
    const half = { type: "I8", ne: [2 ** 52] };
    const make = () =>
      plan(
        [],
        [
          { name: "a", ...half },
          { name: "b", ...half },
        ],
      );
    expect(make).toThrow(expect.objectContaining({ code: "GGUF_FILE_TOO_LARGE" }));
  });
});

describe("values", () => {
  it.each([
    () => ggufUint8(256),
    () => ggufUint8(1.5),
    () => ggufInt8(-129),
    () => ggufUint16(-1),
    () => ggufInt16(32_768),
    () => ggufUint32(2 ** 32),
    () => ggufInt32(-(2 ** 31) - 1),
    () => ggufUint64(-1n),
    () => ggufInt64(2n ** 63n),
    () => ggufScalar("uint64", 1),
    () => ggufScalar("float32", "1"),
    () => ggufScalar("bool", 1),
    () => ggufScalar("string", 1),
    () => ggufString("\udc00"),
    () => ggufArray("int8", [1, 200]),
    () => ggufArray("string", ["a", "\ud800"]),
    () => ggufArray("array", [1]),
  ])("refuses %s", (make) => {
    expect(make).toThrow(expect.objectContaining({ name: "QuernError", code: "GGUF_VALUE_INVALID" }));
  });

  it("rounds float32", () => {
    expect(ggufFloat32(0.1).value).toBe(Math.fround(0.1));
  });

  it("takes typed arrays", () => {
    const array = ggufArray("float32", new Float32Array([1, 0.5]));
    expect([array.length, [...array]]).toEqual([2, [1, 0.5]]);
  });
});
