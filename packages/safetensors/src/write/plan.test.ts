import { readFile } from "node:fs/promises";
import { bytesSource, type ElementType, type TensorInfo } from "@quern/tensor";
import { describe, expect, it } from "vitest";
import { readSafetensors } from "../read/file.ts";
import { planSafetensors } from "./plan.ts";
import { serializeSafetensors } from "./serialize.ts";

function info(name: string, type: ElementType, shape: number[] = [2]): TensorInfo {
  return { name, type, shape };
}

function headerText(tensors: TensorInfo[], metadata?: Record<string, string>): string {
  const { header } = planSafetensors({ tensors, ...(metadata && { metadata }) });
  expect(new DataView(header.buffer).getBigUint64(0, true)).toBe(BigInt(header.length - 8));
  expect(header.length % 8).toBe(0);
  return new TextDecoder().decode(header.subarray(8));
}

describe("planSafetensors", () => {
  it("lays tensors out in the order of the reference implementation", () => {
    // Order that the Python package safetensors 0.8.0 gave to these names and types.
    const expected =
      "t.U64 t.I64 t.F64 empty scalar t.F32 t.U32 t.I32 t.BF16 t.F16 t.U16 t.I16 t.F8_E8M0 t.F8_E4M3 t.F8_E5M2"
        .concat(' t.I8 \n\ttab a b"quote\\ t.U8 é \uffee 😀 t.F4 t.BOOL')
        .split(" ");
    const typed = expected.filter((name) => name.startsWith("t."));
    const bytes = expected.filter((name) => !name.startsWith("t.") && name !== "empty" && name !== "scalar");
    const layout = planSafetensors({
      tensors: [
        ...typed.toReversed().map((name) => info(name, name.slice(2) as ElementType)),
        ...bytes.toReversed().map((name) => info(name, "U8", [1])),
        info("scalar", "F32", []),
        info("empty", "F32", [0, 5]),
      ],
    });
    expect([...layout.tensors.keys()]).toEqual(expected);
  });

  it("writes what the reference implementation writes", () => {
    expect(headerText([])).toBe("{}      ");
    expect(
      headerText([info("a", "BF16", [3]), info("😀", "F32", [])], { format: "pt", n: 'l\n"\u0001' }),
    ).toBe(
      '{"__metadata__":{"format":"pt","n":"l\\n\\"\\u0001"},' +
        '"😀":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"a":{"dtype":"BF16","shape":[3],"data_offsets":[4,10]}}',
    );
  });

  it("makes the header of the demonstration model again, byte for byte", async () => {
    const path = new URL("../../../../examples/quern-demo/model.safetensors", import.meta.url);
    const bytes = await readFile(path);
    const file = await readSafetensors(bytesSource({ bytes }));
    const layout = planSafetensors({
      tensors: [...file.tensors.values()].map((tensor) => tensor.info).toReversed(),
      metadata: file.metadata,
    });
    expect(layout.fileSize).toBe(bytes.length);
    expect(Buffer.compare(layout.header, bytes.subarray(0, layout.header.length))).toBe(0);
    expect([...layout.tensors.values()].map(({ offset }) => offset)).toEqual(
      [...file.tensors.values()].map(({ offset }) => offset),
    );
  });

  it("knows every offset before there is data", () => {
    const layout = planSafetensors({
      tensors: [info("small", "U8", [3]), info("huge", "F32", [2 ** 20, 2 ** 20])],
    });
    const start = layout.header.length;
    expect([...layout.tensors.values()].map(({ offset, size }) => [offset, size])).toEqual([
      [start, 2 ** 42],
      [start + 2 ** 42, 3],
    ]);
    expect(layout.fileSize).toBe(start + 2 ** 42 + 3);
  });

  it.each<[string, TensorInfo[], Record<string, unknown>, string]>([
    ["two tensors of a name", [info("a", "U8"), info("a", "F32")], {}, "SAFETENSORS_DUPLICATE_TENSOR"],
    ["a tensor called __metadata__", [info("__metadata__", "U8")], {}, "SAFETENSORS_BAD_NAME"],
    ["half a surrogate pair in a name", [info("\ud800", "U8")], {}, "SAFETENSORS_BAD_NAME"],
    ["half a surrogate pair in metadata", [], { a: "\udc00" }, "SAFETENSORS_BAD_NAME"],
    ["metadata that is no string", [], { a: 1 }, "SAFETENSORS_BAD_METADATA"],
    ["an unknown type", [info("a", "Q4_K" as ElementType)], {}, "TENSOR_TYPE_UNKNOWN"],
    ["a negative dimension", [info("a", "U8", [-1])], {}, "TENSOR_SHAPE_INVALID"],
    ["half a byte", [info("a", "F4", [3])], {}, "TENSOR_SHAPE_NOT_WHOLE_BYTES"],
    ["a shape that overflows", [info("a", "U8", [2 ** 52, 4])], {}, "TENSOR_SHAPE_OVERFLOW"],
    [
      "a file that overflows",
      Array.from({ length: 20 }, (_, i) => info(`${i}`, "U8", [2 ** 49])),
      {},
      "SAFETENSORS_FILE_TOO_LARGE",
    ],
    [
      "a header that no reader takes",
      [info("n".repeat(100_000_000), "U8")],
      {},
      "SAFETENSORS_HEADER_TOO_LARGE",
    ],
  ])("refuses %s", (_, tensors, metadata, code) => {
    expect(() => planSafetensors({ tensors, metadata: metadata as Record<string, string> })).toThrow(
      expect.objectContaining({ code }),
    );
  });
});

describe("serializeSafetensors", () => {
  it("puts the data where the layout says", async () => {
    const tensors = [
      { ...info("a", "U8", [3]), bytes: Uint8Array.of(1, 2, 3) },
      { ...info("b", "I16", [1]), bytes: Uint8Array.of(4, 5) },
    ];
    const bytes = serializeSafetensors({ tensors });
    expect([...bytes.subarray(-5)]).toEqual([4, 5, 1, 2, 3]);
    const file = await readSafetensors(bytesSource({ bytes }));
    expect(await file.tensors.get("a")!.read()).toEqual(tensors[0]!.bytes);
  });

  it("refuses data of another size than the shape", () => {
    expect(() =>
      serializeSafetensors({ tensors: [{ ...info("a", "F32"), bytes: new Uint8Array(7) }] }),
    ).toThrow(expect.objectContaining({ code: "SAFETENSORS_SIZE_MISMATCH", subject: { tensor: "a" } }));
  });
});
