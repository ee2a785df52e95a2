import { ELEMENT_TYPES, type ElementType, QuernError, type TensorInfo } from "@quern/tensor";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeFloat16, encodeFloat16 } from "../element-codec.ts";
import { evaluateRows, expressionSources, expressionType } from "../evaluate.ts";
import type { TensorExpression, TensorReader } from "../expression.ts";
import { rowShape } from "../row-shape.ts";
import { add } from "./add.ts";
import { concatenate } from "./concatenate.ts";
import { packMxfp4 } from "./pack-mxfp4.ts";
import { permute } from "./permute.ts";
import { reshape } from "./reshape.ts";
import { scaling } from "./scale.ts";
import { slice } from "./slice.ts";
import { source } from "./source.ts";
import { stack } from "./stack.ts";
import { toFloat32 } from "./to-float32.ts";
import { transpose } from "./transpose.ts";
import { values } from "./values.ts";

/** A tensor by its elements: what operations that only move elements are checked against. */
interface Elements {
  readonly shape: readonly number[];
  /** Number of the element of the source at each place. */
  readonly data: readonly number[];
}

interface Reads {
  readonly reader: TensorReader;
  readonly rows: () => number;
}

/** Tensors in memory; counts the rows that are read. */
function memoryReader(
  tensors: Record<string, { type: ElementType; shape: number[]; bytes: Uint8Array }>,
): Reads {
  let rows = 0;
  const info = (name: string): TensorInfo => {
    const tensor = tensors[name];
    if (tensor === undefined) throw new QuernError("TENSOR_MISSING", `no tensor "${name}"`);
    return { name, type: tensor.type, shape: tensor.shape };
  };
  return {
    rows: () => rows,
    reader: {
      info,
      async readRows(name, start, count) {
        rows += count;
        const { rowBytes } = rowShape(info(name));
        return tensors[name]!.bytes.subarray(start * rowBytes, (start + count) * rowBytes);
      },
    },
  };
}

const product = (shape: readonly number[]): number => shape.reduce((all, size) => all * size, 1);
const bytesOf = (...numbers: number[]): Uint8Array => Uint8Array.from(numbers);

/** Numbers of 0, 1, 2, ... in `shape`, each as wide as an element of `type`. */
function counting(
  type: ElementType,
  shape: number[],
): { type: ElementType; shape: number[]; bytes: Uint8Array } {
  const size = ELEMENT_TYPES[type].bits / 8;
  const bytes = new Uint8Array(product(shape) * size);
  for (let index = 0; index < product(shape); index++) {
    for (let byte = 0; byte < size; byte++) bytes[index * size + byte] = (index * 31 + byte * 7) % 251;
  }
  return { type, shape, bytes };
}

async function wholeOf(expression: TensorExpression, reader: TensorReader): Promise<Uint8Array> {
  const { rows } = rowShape(expressionType(expression, reader));
  return evaluateRows(expression, { reader, firstRow: 0, rows });
}

async function failure(action: () => unknown): Promise<QuernError> {
  try {
    await action();
  } catch (error) {
    if (error instanceof QuernError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

/** The element at each position of the result of an operation, given where it comes from. */
function gather(shape: readonly number[], from: (position: number[]) => number): Elements {
  const data = Array.from({ length: product(shape) }, (_, index) => {
    const position: number[] = [];
    for (let axis = shape.length - 1, rest = index; axis >= 0; axis--) {
      position[axis] = rest % shape[axis]!;
      rest = Math.floor(rest / shape[axis]!);
    }
    return from(position);
  });
  return { shape, data };
}

const at = ({ shape, data }: Elements, position: readonly number[]): number =>
  data[position.reduce((index, value, axis) => index * shape[axis]! + value, 0)]!;

/** A step of a random expression: what to do, and what it should do to the elements. */
type Step = (input: { expression: TensorExpression; elements: Elements }) => {
  expression: TensorExpression;
  elements: Elements;
};

const steps: fc.Arbitrary<Step> = fc
  .tuple(fc.nat(5), fc.nat(1000), fc.nat(1000))
  .map(([kind, a, b]): Step => ({ expression, elements }) => {
    const { shape, data } = elements;
    const rank = shape.length;
    if (kind === 0 && rank > 0) {
      const divisors = Array.from({ length: data.length }, (_, i) => i + 1).filter(
        (i) => data.length % i === 0,
      );
      const first = divisors[a % divisors.length]!;
      const target = [first, data.length / first];
      return { expression: reshape(expression, target), elements: { shape: target, data } };
    }
    if (kind === 1 && rank > 1) {
      const axes = shape.map((_, axis) => axis);
      const [i, j] = [a % (rank - 1), b % (rank - 1)];
      [axes[i], axes[j]] = [axes[j]!, axes[i]!];
      const target = axes.map((axis) => shape[axis]!);
      const moved = gather(target, (position) => {
        const original: number[] = [];
        for (const [index, axis] of axes.entries()) original[axis] = position[index]!;
        return at(elements, original);
      });
      return { expression: permute(expression, axes), elements: moved };
    }
    if (kind === 2 && rank > 0) {
      const axis = a % rank;
      const start = b % shape[axis]!;
      const stop = start + 1 + ((a + b) % (shape[axis]! - start));
      const step = 1 + (a % 3);
      const target = shape.with(axis, Math.ceil((stop - start) / step));
      const cut = gather(target, (position) =>
        at(elements, position.with(axis, start + position[axis]! * step)),
      );
      return { expression: slice(expression, { axis, start, stop, step }), elements: cut };
    }
    if (kind === 3 && rank > 1) {
      const target = [...shape.slice(0, -2), shape.at(-1)!, shape.at(-2)!];
      const turned = gather(target, (position) =>
        at(elements, [...position.slice(0, -2), position.at(-1)!, position.at(-2)!]),
      );
      return { expression: transpose(expression), elements: turned };
    }
    if (kind === 4 && rank > 1) {
      const target = shape.with(0, 2 * shape[0]!);
      return {
        expression: concatenate([expression, expression]),
        elements: { shape: target, data: [...data, ...data] },
      };
    }
    if (rank < 4) {
      const target = [2, ...shape];
      return {
        expression: stack([expression, expression]),
        elements: { shape: target, data: [...data, ...data] },
      };
    }
    return { expression, elements };
  });

describe("operations that move elements", () => {
  const cases = fc.record({
    type: fc.constantFrom<ElementType>("U8", "F16", "BF16", "F32", "F64"),
    shape: fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 4 }),
    steps: fc.array(steps, { maxLength: 5 }),
    slab: fc.integer({ min: 1, max: 7 }),
  });

  it("put every element where it belongs, in slabs of any size", async () => {
    await fc.assert(
      fc.asyncProperty(cases, async ({ type, shape, steps: chain, slab }) => {
        const tensor = counting(type, shape);
        const { reader } = memoryReader({ x: tensor });
        const data = Array.from({ length: product(shape) }, (_, index) => index);
        const numbered = { expression: source("x"), elements: { shape, data } };
        const { expression, elements } = chain.reduce<Parameters<Step>[0]>(
          (input, step) => step(input),
          numbered,
        );

        expect(expressionType(expression, reader)).toEqual({ type, shape: elements.shape });
        const size = ELEMENT_TYPES[type].bits / 8;
        const expected = elements.data.flatMap((index) => [
          ...tensor.bytes.subarray(index * size, (index + 1) * size),
        ]);
        expect([...(await wholeOf(expression, reader))]).toEqual(expected);

        const { rows } = rowShape({ type, shape: elements.shape });
        const pieces: number[] = [];
        for (let firstRow = 0; firstRow < rows; firstRow += slab) {
          const count = Math.min(slab, rows - firstRow);
          // Memory that was used before: what an operation does not fill would show.
          const allocate = (size: number): Uint8Array => new Uint8Array(size).fill(0xfe);
          pieces.push(...(await evaluateRows(expression, { reader, firstRow, rows: count, allocate })));
        }
        expect(pieces).toEqual(expected);
      }),
      { numRuns: 400 },
    );
  });

  it("read only the rows that they need", async () => {
    const tensors = { x: counting("F16", [64, 8]), y: counting("F16", [64, 8]) };
    const rowsRead = async (expression: TensorExpression, rows: number): Promise<number> => {
      const reads = memoryReader(tensors);
      await evaluateRows(expression, { reader: reads.reader, firstRow: 0, rows });
      return reads.rows();
    };
    const heads = reshape(permute(reshape(source("x"), [4, 2, 8, 8]), [0, 2, 1, 3]), [64, 8]);
    expect(await rowsRead(heads, 4)).toBe(4);
    expect(await rowsRead(stack([source("x"), source("y")]), 10)).toBe(10);
    expect(await rowsRead(slice(source("x"), { axis: 0, start: 32, stop: 64 }), 5)).toBe(5);
    // Rows between two wanted ones are read with them.
    expect(await rowsRead(slice(source("x"), { axis: 0, start: 0, stop: 64, step: 2 }), 5)).toBe(9);
    expect(await rowsRead(concatenate([source("x"), source("y")]), 64)).toBe(64);
  });

  it("transpose bytes that begin anywhere", async () => {
    const bytes = bytesOf(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12).subarray(1);
    const { reader } = memoryReader({ x: { type: "F16", shape: [2, 3], bytes } });
    expect([...(await wholeOf(transpose(source("x")), reader))]).toEqual([
      1, 2, 7, 8, 3, 4, 9, 10, 5, 6, 11, 12,
    ]);
  });
});

describe("operations that compute", () => {
  const f16 = (...numbers: number[]): Uint8Array =>
    new Uint8Array(Uint16Array.from(numbers, encodeFloat16).buffer);
  const f32 = (...numbers: number[]): Uint8Array => new Uint8Array(Float32Array.from(numbers).buffer);

  it("add in F16 when the input is F16", async () => {
    const { reader } = memoryReader({ x: { type: "F16", shape: [4], bytes: f16(0.5, -1, 0.0005, 2048) } });
    const sum = add(source("x"), 1);
    expect(expressionType(sum, reader)).toEqual({ type: "F16", shape: [4] });
    // 1.0005 lies between 1 and 1.0009765625; above 2048 only even numbers are left.
    expect([...(await wholeOf(sum, reader))]).toEqual([...f16(1.5, 0, 1.0009765625, 2048)]);
  });

  it("add in F32 when the input is BF16", async () => {
    const bytes = new Uint8Array(Uint16Array.of(0x3f80, 0x3b80, 0xbf80).buffer);
    const { reader } = memoryReader({ x: { type: "BF16", shape: [3], bytes } });
    const sum = add(source("x"), 1);
    expect(expressionType(sum, reader)).toEqual({ type: "F32", shape: [3] });
    expect([...(await wholeOf(sum, reader))]).toEqual([...f32(2, 1.00390625, 0)]);
  });

  it("convert numbers of any type to F32", async () => {
    const { reader } = memoryReader({
      f64: { type: "F64", shape: [2], bytes: new Uint8Array(Float64Array.of(0.1, -2).buffer) },
      i64: { type: "I64", shape: [2], bytes: new Uint8Array(BigInt64Array.of(-5n, 16777217n).buffer) },
      f8: { type: "F8_E4M3", shape: [4], bytes: bytesOf(0x38, 0xc0, 0x01, 0x7e) },
      f8e5: { type: "F8_E5M2", shape: [2], bytes: bytesOf(0x3c, 0x7b) },
      u8: { type: "U8", shape: [2], bytes: bytesOf(0, 255) },
    });
    const converted = async (name: string): Promise<number[]> => {
      const bytes = await wholeOf(toFloat32(source(name)), reader);
      return [...new Float32Array(bytes.buffer)];
    };
    expect(await converted("f64")).toEqual([Math.fround(0.1), -2]);
    expect(await converted("i64")).toEqual([-5, 16777216]);
    expect(await converted("f8")).toEqual([1, -2, 2 ** -9, 448]);
    expect(await converted("f8e5")).toEqual([1, 57344]);
    expect(await converted("u8")).toEqual([0, 255]);
  });

  it("hold generated values", async () => {
    const { reader } = memoryReader({});
    expect([...(await wholeOf(values([1, 0.1]), reader))]).toEqual([...f32(1, 0.1)]);
  });

  it("pack MXFP4 codes and scales into blocks", async () => {
    // Elements 0 to 31 of a block have the codes 0, 1, 2, ... 15, 0, 1, ...
    const codes = Array.from({ length: 16 }, (_, byte) => ((2 * byte) % 16) | (((2 * byte + 1) % 16) << 4));
    const { reader } = memoryReader({
      codes: { type: "U8", shape: [1, 2, 16], bytes: bytesOf(...codes, ...codes.map((code) => code ^ 0xff)) },
      scales: { type: "U8", shape: [1, 2, 1], bytes: bytesOf(127, 128) },
    });
    const packed = packMxfp4(source("codes"), source("scales"));
    expect(expressionType(packed, reader)).toEqual({ type: "U8", shape: [1, 2, 17] });
    const expected = Array.from({ length: 16 }, (_, element) => element | (element << 4));
    expect([...(await wholeOf(packed, reader))]).toEqual([
      127,
      ...expected,
      128,
      ...expected.map((byte) => byte ^ 0xff),
    ]);
    expect([...(await evaluateRows(packed, { reader, firstRow: 1, rows: 1 }))][0]).toBe(128);
  });

  it("round to F16 as IEEE 754 says", () => {
    const finite = Array.from({ length: 0x10000 }, (_, bits) => bits).filter(
      (bits) => !Number.isNaN(decodeFloat16(bits)),
    );
    expect(finite).toHaveLength(0x10000 - 2 * 1023);
    expect(finite.map((bits) => encodeFloat16(decodeFloat16(bits)))).toEqual(finite);
    expect(encodeFloat16(Number.NaN)).toBe(0x7e00);
    expect(encodeFloat16(65519.99)).toBe(0x7bff);
    expect(encodeFloat16(65520)).toBe(0x7c00);
    expect(encodeFloat16(2 ** -25)).toBe(0);
    expect(encodeFloat16(3 * 2 ** -25)).toBe(2);
    expect(encodeFloat16(1 + 2 ** -11)).toBe(0x3c00);
    expect(encodeFloat16(1 + 3 * 2 ** -11)).toBe(0x3c02);
  });
});

describe("expressions that cannot be", () => {
  const { reader } = memoryReader({
    x: counting("F32", [4, 6]),
    y: counting("F32", [4, 5]),
    z: counting("F16", [4, 6]),
  });
  const x = source("x");
  const broken: [string, TensorExpression, RegExp][] = [
    ["reshape to another number of elements", reshape(x, [5, 5]), /number of elements differs/],
    ["permute with the last axis moved", permute(x, [1, 0]), /the last one last/],
    ["permute with an axis twice", permute(reshape(x, [2, 2, 6]), [0, 0, 2]), /each of its 3 axes once/],
    ["slice beyond the end", slice(x, { axis: 0, start: 2, stop: 5 }), /not inside the tensor/],
    ["slice of an axis that is not there", slice(x, { axis: 2, start: 0, stop: 1 }), /not inside the tensor/],
    ["transpose of a vector", transpose(reshape(x, [24])), /expected a matrix/],
    ["concatenate of other columns", concatenate([x, source("y")]), /does not fit/],
    ["concatenate of other types", concatenate([x, source("z")]), /does not fit/],
    ["stack of other shapes", stack([x, source("y")]), /number 1 is F32 \[4, 5\]/],
    ["stack of nothing", stack([]), /one or more/],
    [
      "scale by too few factors",
      { ...scaling({ rows: Float64Array.of(1, 2, 3) }), inputs: [x] },
      /by 3 factors of rows/,
    ],
    [
      "scale by columns of no matrix",
      { ...scaling({ columns: new Float64Array(18) }), inputs: [x] },
      /and 18 of columns/,
    ],
    ["MXFP4 of numbers", packMxfp4(x, source("y")), /do not fit together/],
  ];

  it.each(broken)("%s", async (_name, expression, message) => {
    const error = await failure(() => expressionType(expression, reader));
    expect(error.code).toBe("EXPRESSION_INVALID");
    expect(error.message).toMatch(message);
  });

  it("has an operation that nobody knows", async () => {
    const error = await failure(() => expressionType({ operation: "invert" }, reader));
    expect(error.code).toBe("EXPRESSION_OPERATION_UNKNOWN");
  });

  it("has rows that the tensor has not", async () => {
    for (const [firstRow, rows] of [
      [0, 5],
      [4, 1],
      [-1, 1],
      [0.5, 1],
      [0, -1],
    ] as const) {
      const error = await failure(() => evaluateRows(x, { reader, firstRow, rows }));
      expect(error.code).toBe("EXPRESSION_ROWS_OUT_OF_RANGE");
    }
    expect(await evaluateRows(x, { reader, firstRow: 4, rows: 0 })).toHaveLength(0);
  });
});

it("names the tensors that an expression reads, and travels as JSON", () => {
  const expression = stack([source("b"), add(source("a"), 1), source("b")]);
  expect(expressionSources(expression)).toEqual(["b", "a"]);
  expect(JSON.parse(JSON.stringify(expression))).toEqual(expression);
});
