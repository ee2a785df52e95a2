import { bytesSource, type ByteSource, QuernError } from "@quern/tensor";
import { describe, expect, it } from "vitest";
import { readSafetensors } from "./file.ts";

type Entry = Readonly<Record<string, unknown>>;

/** A file of a header, good or bad, and as many data bytes: 1, 2, 3, ... */
function file(header: string | Uint8Array | Readonly<Record<string, unknown>>, dataSize = 0): Uint8Array {
  const json =
    header instanceof Uint8Array
      ? header
      : new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + json.length + dataSize);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  for (let i = 0; i < dataSize; i++) bytes[8 + json.length + i] = i + 1;
  return bytes;
}

function withLength(bytes: Uint8Array, length: bigint): Uint8Array {
  new DataView(bytes.buffer).setBigUint64(0, length, true);
  return bytes;
}

function entry(dtype: unknown, shape: unknown, ...offsets: unknown[]): Entry {
  return { dtype, shape, data_offsets: offsets };
}

function source(bytes: Uint8Array): ByteSource {
  return bytesSource({ bytes, name: "m.safetensors" });
}

const ONE = entry("U8", [2], 0, 2);

describe("files that are refused", () => {
  const CASES: [what: string, bytes: Uint8Array, code: string, message: RegExp][] = [
    ["nothing", new Uint8Array(0), "SAFETENSORS_TRUNCATED", /0 bytes are too few/],
    ["seven bytes", new Uint8Array(7), "SAFETENSORS_TRUNCATED", /7 bytes/],
    [
      "a header length beyond the file",
      withLength(file("{}"), 3n),
      "SAFETENSORS_HEADER_BEYOND_FILE",
      /3 bytes/,
    ],
    [
      "a header length beyond the limit",
      withLength(file("{}"), 100_000_001n),
      "SAFETENSORS_HEADER_TOO_LARGE",
      /limit/,
    ],
    [
      "a header length of 64 bits",
      withLength(file("{}"), 2n ** 64n - 1n),
      "SAFETENSORS_HEADER_TOO_LARGE",
      /18446744073709551615/,
    ],
    [
      "a Git LFS pointer",
      new TextEncoder().encode("version https://git-lfs.github.com/spec/v1\n"),
      "SAFETENSORS_HEADER_TOO_LARGE",
      /Git LFS pointer/,
    ],
    [
      "a GGUF file",
      new TextEncoder().encode("GGUF\u0003\0\0\0\0\0\0\0"),
      "SAFETENSORS_HEADER_TOO_LARGE",
      /GGUF/,
    ],
    ["no header", file(""), "SAFETENSORS_BAD_HEADER", /expected "\{"/],
    ["a space before the header", file(" {}"), "SAFETENSORS_BAD_HEADER", /offset 8.*expected "\{"/],
    ["a byte order mark", file("\ufeff{}"), "SAFETENSORS_BAD_HEADER", /expected "\{"/],
    ["an array as the header", file("[]"), "SAFETENSORS_BAD_HEADER", /expected "\{"/],
    [
      "bytes that are not UTF-8",
      file(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d)),
      "SAFETENSORS_HEADER_NOT_UTF8",
      /UTF-8/,
    ],
    ["an unfinished header", file('{"a":'), "SAFETENSORS_BAD_HEADER", /offset 13: found the end/],
    ["two objects", file("{}{}"), "SAFETENSORS_BAD_HEADER", /offset 10: found "\{\}", expected nothing more/],
    ["zero bytes after the header", file("{}\0\0"), "SAFETENSORS_BAD_HEADER", /expected nothing more/],
    ["a comma at the end", file('{"__metadata__":{"a":"b"},}'), "SAFETENSORS_BAD_HEADER", /expected a key/],
    ["single quotes", file("{'a':{}}"), "SAFETENSORS_BAD_HEADER", /expected a key/],
    ["a newline in a name", file('{"a\n":{}}'), "SAFETENSORS_BAD_HEADER", /control character/],
    ["a bad escape in a name", file(String.raw`{"a\x":{}}`), "SAFETENSORS_BAD_HEADER", /bad escape/],
    ["a name without an end", file(String.raw`{"a\"`), "SAFETENSORS_BAD_HEADER", /without an end/],
    [
      "half a surrogate pair in a name",
      file(String.raw`{"\ud800":{}}`),
      "SAFETENSORS_BAD_HEADER",
      /lone surrogate/,
    ],
    [
      "a tensor that is a number",
      file({ a: 1 }),
      "SAFETENSORS_BAD_HEADER",
      /expected an object \(tensor "a"\)/,
    ],
    ["a tensor that is null", file({ a: null }), "SAFETENSORS_BAD_HEADER", /expected an object/],
    [
      "a tensor without dtype",
      file({ a: { shape: [], data_offsets: [0, 0] } }),
      "SAFETENSORS_BAD_HEADER",
      /tensor "a"/,
    ],
    [
      "a tensor without shape",
      file({ a: { dtype: "U8", data_offsets: [0, 0] } }),
      "SAFETENSORS_BAD_HEADER",
      /tensor "a"/,
    ],
    [
      "a tensor without offsets",
      file({ a: { dtype: "U8", shape: [] } }),
      "SAFETENSORS_BAD_HEADER",
      /tensor "a"/,
    ],
    ["one offset", file({ a: entry("U8", [0], 0) }), "SAFETENSORS_BAD_HEADER", /two numbers/],
    [
      "three offsets",
      file({ a: entry("U8", [0], 0, 0, 0) }),
      "SAFETENSORS_BAD_HEADER",
      /more than 2 numbers in data_offsets of tensor "a"/,
    ],
    [
      "a dtype that is a number",
      file({ a: entry(3, [], 0, 1) }, 1),
      "SAFETENSORS_BAD_HEADER",
      /dtype of tensor "a"/,
    ],
    [
      "a shape that is a number",
      file({ a: entry("U8", 1, 0, 1) }, 1),
      "SAFETENSORS_BAD_HEADER",
      /shape of tensor "a"/,
    ],
    [
      "a negative dimension",
      file({ a: entry("U8", [-1], 0, 1) }, 1),
      "SAFETENSORS_BAD_HEADER",
      /found -1, expected an integer/,
    ],
    [
      "a fraction as a dimension",
      file({ a: entry("U8", [1.5], 0, 1) }, 1),
      "SAFETENSORS_BAD_HEADER",
      /found 1.5/,
    ],
    [
      "a dimension with a decimal point",
      file('{"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}}', 1),
      "SAFETENSORS_BAD_HEADER",
      /found 1.0/,
    ],
    [
      "a dimension with an exponent",
      file('{"a":{"dtype":"U8","shape":[1e0],"data_offsets":[0,1]}}', 1),
      "SAFETENSORS_BAD_HEADER",
      /found 1e0/,
    ],
    [
      "a dimension with a leading zero",
      file('{"a":{"dtype":"U8","shape":[01],"data_offsets":[0,1]}}', 1),
      "SAFETENSORS_BAD_HEADER",
      /expected "," or "\]"/,
    ],
    [
      "a dimension of minus zero",
      file('{"a":{"dtype":"U8","shape":[-0],"data_offsets":[0,0]}}'),
      "SAFETENSORS_BAD_HEADER",
      /found -0/,
    ],
    [
      "a dimension beyond 2^53",
      file('{"a":{"dtype":"U8","shape":[9007199254740992],"data_offsets":[0,1]}}', 1),
      "SAFETENSORS_BAD_HEADER",
      /found 9007199254740992/,
    ],
    [
      "a string as a dimension",
      file({ a: entry("U8", ["1"], 0, 1) }, 1),
      "SAFETENSORS_BAD_HEADER",
      /expected an integer/,
    ],
    [
      "an unknown dtype",
      file({ a: entry("Q4_K", [2], 0, 2) }, 2),
      "SAFETENSORS_UNKNOWN_DTYPE",
      /tensor "a": dtype "Q4_K" is unknown/,
    ],
    ["a dtype in lower case", file({ a: entry("f32", [1], 0, 4) }, 4), "SAFETENSORS_UNKNOWN_DTYPE", /"f32"/],
    [
      "a dtype called like a method",
      file({ a: entry("toString", [1], 0, 4) }, 4),
      "SAFETENSORS_UNKNOWN_DTYPE",
      /"toString"/,
    ],
    [
      "a duplicate tensor",
      file(
        '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
        1,
      ),
      "SAFETENSORS_DUPLICATE_KEY",
      /duplicate key "a" in the header/,
    ],
    [
      "a duplicate tensor, escaped",
      file(
        String.raw`{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\u0061":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}`,
      ),
      "SAFETENSORS_DUPLICATE_KEY",
      /duplicate key "a"/,
    ],
    [
      "a duplicate dtype",
      file('{"a":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}}', 1),
      "SAFETENSORS_DUPLICATE_KEY",
      /duplicate key "dtype" in an object \(tensor "a"\)/,
    ],
    [
      "duplicate metadata",
      file('{"__metadata__":{},"__metadata__":{}}'),
      "SAFETENSORS_DUPLICATE_KEY",
      /__metadata__/,
    ],
    [
      "a duplicate metadata key",
      file('{"__metadata__":{"k":"1","k":"2"}}'),
      "SAFETENSORS_DUPLICATE_KEY",
      /"k"/,
    ],
    [
      "metadata that is an array",
      file({ __metadata__: ["a"] }),
      "SAFETENSORS_BAD_HEADER",
      /an object of strings/,
    ],
    [
      "a metadata value that is a number",
      file({ __metadata__: { step: 3 } }),
      "SAFETENSORS_BAD_HEADER",
      /value of "step"/,
    ],
    [
      "a metadata value that is an object",
      file({ __metadata__: { a: {} } }),
      "SAFETENSORS_BAD_HEADER",
      /value of "a"/,
    ],
    [
      "an unknown key nested too deep",
      file(`{"a":{"x":${"[".repeat(200)}`),
      "SAFETENSORS_BAD_HEADER",
      /nested more than 128/,
    ],
    [
      "an unknown key that is not JSON",
      file('{"a":{"x":nul}}'),
      "SAFETENSORS_BAD_HEADER",
      /expected a JSON value/,
    ],
    [
      "too many dimensions",
      file(
        {
          a: entry(
            "U8",
            Array.from({ length: 1025 }, () => 1),
            0,
            1,
          ),
        },
        1,
      ),
      "SAFETENSORS_BAD_HEADER",
      /more than 1024 numbers in shape of tensor "a"/,
    ],
    [
      "too many metadata keys",
      file({ __metadata__: Object.fromEntries(Array.from({ length: 100_001 }, (_, i) => [`k${i}`, ""])) }),
      "SAFETENSORS_BAD_HEADER",
      /more than 100000 keys in __metadata__/,
    ],
    [
      "a hole at the start",
      file({ a: entry("U8", [2], 1, 3) }, 3),
      "SAFETENSORS_HOLE",
      /tensor "a".*bytes from 0 to 1/,
    ],
    [
      "a hole between tensors",
      file({ a: ONE, b: entry("U8", [2], 3, 5) }, 5),
      "SAFETENSORS_HOLE",
      /tensor "b".*from 2 to 3/,
    ],
    [
      "an overlap",
      file({ a: ONE, b: entry("U8", [2], 1, 3) }, 3),
      "SAFETENSORS_OVERLAP",
      /tensor "b".*ends at 2/,
    ],
    ["two tensors on the same bytes", file({ a: ONE, b: ONE }, 2), "SAFETENSORS_OVERLAP", /tensor "b"/],
    [
      "an empty tensor inside another",
      file({ a: ONE, b: entry("U8", [0], 1, 1) }, 2),
      "SAFETENSORS_OVERLAP",
      /tensor "b"/,
    ],
    [
      "an end before the begin",
      file({ a: entry("U8", [2], 2, 0) }, 2),
      "SAFETENSORS_BAD_OFFSETS",
      /\[2, 0\]/,
    ],
    [
      "a shape larger than the data",
      file({ a: entry("F32", [2], 0, 4) }, 4),
      "SAFETENSORS_SIZE_MISMATCH",
      /4 bytes, but F32 elements of shape \[2\] take 8/,
    ],
    [
      "a shape smaller than the data",
      file({ a: entry("F32", [1], 0, 8) }, 8),
      "SAFETENSORS_SIZE_MISMATCH",
      /take 4/,
    ],
    [
      "an empty shape with data",
      file({ a: entry("F32", [3, 0], 0, 4) }, 4),
      "SAFETENSORS_SIZE_MISMATCH",
      /take 0/,
    ],
    ["a scalar without data", file({ a: entry("F32", [], 0, 0) }), "SAFETENSORS_SIZE_MISMATCH", /take 4/],
    [
      "a shape that overflows",
      file({ a: entry("F32", [2 ** 40, 2 ** 40], 0, 4) }, 4),
      "TENSOR_SHAPE_OVERFLOW",
      /m.safetensors: tensor "a"/,
    ],
    [
      "a shape that overflows to zero in 64 bits",
      file({ a: entry("U8", [2 ** 32, 2 ** 32], 0, 0) }),
      "TENSOR_SHAPE_OVERFLOW",
      /tensor "a"/,
    ],
    [
      "a size in bits that overflows",
      file({ a: entry("F64", [2 ** 50], 0, 8) }, 8),
      "TENSOR_SHAPE_OVERFLOW",
      /tensor "a"/,
    ],
    ["half a byte", file({ a: entry("F4", [3], 0, 2) }, 2), "TENSOR_SHAPE_NOT_WHOLE_BYTES", /tensor "a"/],
    ["data cut short", file({ a: ONE }, 1), "SAFETENSORS_TRUNCATED", /cut short/],
    [
      "an end far beyond the file",
      file({ a: entry("U8", [2 ** 49], 0, 2 ** 49) }, 1),
      "SAFETENSORS_TRUNCATED",
      /cut short/,
    ],
    ["bytes after the data", file({ a: ONE }, 3), "SAFETENSORS_TRAILING_BYTES", /no tensor owns/],
    ["bytes without any tensor", file({}, 1), "SAFETENSORS_TRAILING_BYTES", /no tensor owns/],
  ];

  it.each(CASES)("%s", async (_, bytes, code, message) => {
    const error: unknown = await readSafetensors(source(bytes)).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(QuernError);
    const { code: found, message: text, subject } = error as QuernError;
    expect({ code: found, file: subject.file }).toEqual({ code, file: "m.safetensors" });
    expect(text).toMatch(message);
    expect(text).toMatch(/^m\.safetensors: /);
  });

  it.each(["F6_E2M3", "F6_E3M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "C64"])(
    "the dtype %s, as one of the format",
    async (dtype) => {
      await expect(readSafetensors(source(file({ a: entry(dtype, [4], 0, 3) }, 3)))).rejects.toThrow(
        expect.objectContaining({
          code: "SAFETENSORS_UNSUPPORTED_DTYPE",
          message: expect.stringContaining("in the format but not supported here") as string,
          subject: { file: "m.safetensors", tensor: "a" },
        }),
      );
    },
  );

  it("names the tensor and the offset in the error", async () => {
    await expect(readSafetensors(source(file({ a: ONE, b: entry("U8", [2], 3, 5) }, 5)))).rejects.toThrow(
      expect.objectContaining({ subject: { file: "m.safetensors", tensor: "b", offset: 3 } }),
    );
    await expect(readSafetensors(source(file('{"é":{"dtype":"U8","shape":7}}')))).rejects.toThrow(
      expect.objectContaining({ subject: { file: "m.safetensors", offset: 36 } }),
    );
  });

  it("asks for nothing beyond the length when the header is too large for the file", async () => {
    const bytes = withLength(file("{}"), 50_000_000n);
    const reads: [number, number][] = [];
    const counting: ByteSource = {
      ...source(bytes),
      read: (offset, length) => {
        reads.push([offset, length]);
        return source(bytes).read(offset, length);
      },
    };
    await expect(readSafetensors(counting)).rejects.toThrow(QuernError);
    expect(reads).toEqual([[0, 8]]);
  });
});

describe("files that are odd but sound", () => {
  it.each<[string, Uint8Array]>([
    ["no tensors", file("{}")],
    ["spaces after the header", file("{}      ")],
    ["other whitespace after the header", file("{}\n\t\r ")],
    [
      "whitespace within",
      file(
        '{ "__metadata__" : { "a" : "b" } , "t" : {"dtype":"U8", "shape" : [ ], "data_offsets":[0 , 1]}}',
        1,
      ),
    ],
    ["metadata of null", file({ __metadata__: null })],
  ])("%s", async (_, bytes) => {
    const opened = await readSafetensors(source(bytes));
    expect(opened.tensors.size).toBeLessThanOrEqual(1);
  });

  it("orders tensors by their data, empty ones first", async () => {
    const header = {
      late: entry("U8", [2], 2, 4),
      between: entry("F32", [0, 7], 2, 2),
      early: entry("U8", [2], 0, 2),
      end: entry("F32", [0], 4, 4),
    };
    const { tensors } = await readSafetensors(source(file(header, 4)));
    expect([...tensors.keys()]).toEqual(["early", "between", "late", "end"]);
    expect([...(await tensors.get("late")!.read())]).toEqual([3, 4]);
    expect(await tensors.get("between")!.read()).toHaveLength(0);
  });

  it("skips unknown keys of a tensor", async () => {
    const header = { a: { ...ONE, note: { deep: [1, 'x\\"', null, true, -1.5e3] }, toString: "x" } };
    const { tensors } = await readSafetensors(source(file(header, 2)));
    expect(tensors.get("a")!.info).toEqual({ name: "a", type: "U8", shape: [2] });
  });

  it("takes names of all kinds", async () => {
    const names = [
      "",
      "__proto__",
      "constructor",
      "12",
      "a b",
      'quote"',
      "back\\slash",
      "é",
      "😀",
      "\u007f",
      "../x",
    ];
    const text = names.map(
      (name, i) => `${JSON.stringify(name)}:{"dtype":"U8","shape":[1],"data_offsets":[${i},${i + 1}]}`,
    );
    const metadata = '"__metadata__":{"__proto__":"a","toString":"b"}';
    const opened = await readSafetensors(source(file(`{${[...text, metadata].join(",")}}`, names.length)));
    expect([...opened.tensors.keys()]).toEqual(names);
    expect(Object.entries(opened.metadata)).toEqual([
      ["__proto__", "a"],
      ["toString", "b"],
    ]);
  });

  it("takes long names, many dimensions and large metadata", async () => {
    const name = "n".repeat(1_000_000);
    const metadata = { json: JSON.stringify({ text: '"\\'.repeat(200_000) }) };
    const shape = Array.from({ length: 1024 }, () => 1);
    const opened = await readSafetensors(
      source(file({ __metadata__: metadata, [name]: entry("U8", shape, 0, 1) }, 1)),
    );
    expect(opened.metadata).toEqual(metadata);
    expect(opened.tensors.get(name)!.info.shape).toHaveLength(1024);
  });

  it("reads a header of 50,000 tensors", async () => {
    const header: Record<string, Entry> = {};
    for (let i = 0; i < 50_000; i++)
      header[`model.layers.${i}.weight`] = entry("F16", [2, 4], 16 * i, 16 * (i + 1));
    const { tensors } = await readSafetensors(source(file(header, 800_000)));
    expect(tensors.size).toBe(50_000);
    expect((await tensors.get("model.layers.49999.weight")!.read()).byteLength).toBe(16);
  });

  it("closes the source", async () => {
    let closed = 0;
    const opened = await readSafetensors({ ...source(file("{}")), close: async () => void closed++ });
    await opened.close();
    expect(closed).toBe(1);
  });
});

describe("rows", () => {
  const header = {
    cube: entry("I16", [2, 3, 4], 0, 48),
    line: entry("U8", [4], 48, 52),
    nibbles: entry("F4", [2, 3], 52, 55),
    scalar: entry("U8", [], 55, 56),
    flat: entry("U8", [3, 0], 56, 56),
  };

  async function open(name: keyof typeof header) {
    const bytes = file(header, 56);
    const { tensors } = await readSafetensors(source(bytes));
    return { tensor: tensors.get(name)!, data: bytes.subarray(-56) };
  }

  it("reads rows of all leading dimensions together", async () => {
    const { tensor, data } = await open("cube");
    expect(tensor).toMatchObject({ rowCount: 6, size: 48, file: "m.safetensors" });
    expect(await tensor.readRows(1, 4)).toEqual(data.subarray(8, 40));
    const into = new Uint8Array(20);
    expect((await tensor.readRows(5, 1, into)).buffer).toBe(into.buffer);
    expect(into.subarray(0, 8)).toEqual(data.subarray(40, 48));
    expect(await tensor.readRows(6, 0)).toHaveLength(0);
  });

  it("takes a vector or a scalar for one row", async () => {
    const { tensor: line, data } = await open("line");
    expect(line.rowCount).toBe(1);
    expect(await line.readRows(0, 1)).toEqual(data.subarray(48, 52));
    const { tensor: scalar } = await open("scalar");
    expect(await scalar.readRows(0, 1)).toEqual(data.subarray(55, 56));
  });

  it("reads rows without elements", async () => {
    const { tensor } = await open("flat");
    expect(tensor.rowCount).toBe(3);
    expect(await tensor.readRows(1, 2)).toHaveLength(0);
  });

  it.each([
    [-1, 1],
    [0, 7],
    [6, 1],
    [0.5, 1],
    [0, -1],
    [Number.NaN, 1],
  ])("refuses rows %d, %d", async (start, count) => {
    const { tensor } = await open("cube");
    await expect(tensor.readRows(start, count)).rejects.toThrow(
      expect.objectContaining({
        code: "SAFETENSORS_ROWS_OUT_OF_RANGE",
        subject: { file: "m.safetensors", tensor: "cube" },
      }),
    );
  });

  it("refuses rows that begin inside a byte", async () => {
    const { tensor } = await open("nibbles");
    expect(await tensor.read()).toHaveLength(3);
    await expect(tensor.readRows(0, 1)).rejects.toThrow(
      expect.objectContaining({ code: "TENSOR_SHAPE_NOT_WHOLE_BYTES" }),
    );
  });
});
