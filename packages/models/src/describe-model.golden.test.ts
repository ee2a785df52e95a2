import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import type { GgufValue } from "@quern/gguf";
import { ELEMENT_TYPES } from "@quern/tensor";
import { describe, expect, it } from "vitest";
import { describeModel } from "./describe-model.ts";
import { decodeElements } from "./expressions/element-codec.ts";
import { evaluateRows } from "./expressions/evaluate.ts";
import type { TensorReader } from "./expressions/expression.ts";
import type { ModelDescription, ModelTensor } from "./model.ts";
import { GOLDEN, goldenCheckpoint } from "./testing/golden-checkpoint.ts";

/** A key of the metadata, as in fixtures/golden/README.md. */
interface Pair {
  key: string;
  type: string;
  elements?: string | undefined;
  length?: number | undefined;
  value?: unknown;
  sha256?: string | undefined;
  unordered?: boolean;
}

/** Description of a GGUF file. */
interface Expected {
  kv: Pair[];
  tensors: { name: string; type: string; ne: number[]; sha256: string }[];
}

const CASES = readdirSync(GOLDEN).filter((name) =>
  existsSync(new URL(`${name}/checkpoint/config.json`, GOLDEN)),
);

async function describeCase(name: string): Promise<{ description: ModelDescription; reader: TensorReader }> {
  const { input, reader } = await goldenCheckpoint(name);
  return { description: await describeModel(input), reader };
}

async function hashOf(
  { expression, sourceType, shape, storage }: ModelTensor,
  reader: TensorReader,
): Promise<string> {
  const rows = shape.slice(0, -1).reduce((product, size) => product * size, 1);
  const bytes = await evaluateRows(expression, { reader, firstRow: 0, rows });
  return createHash("sha256")
    .update(typeof storage === "object" ? bytes : toFloat32(bytes, sourceType))
    .digest("hex");
}

function toFloat32(bytes: Uint8Array, type: ModelTensor["sourceType"]): Uint8Array {
  const values = new Float32Array((bytes.byteLength * 8) / ELEMENT_TYPES[type].bits);
  decodeElements({ type, bytes, visit: (value, index) => (values[index] = value) });
  return new Uint8Array(values.buffer);
}

/** A value of the metadata in the form of the fixtures. */
function described(key: string, value: GgufValue): Pair {
  if (value.type !== "array") return { key, type: value.type, value: value.value };
  const { elements, length } = value;
  const all = [...value];
  return length <= 64
    ? { key, type: "array", elements, length, value: all }
    : { key, type: "array", elements, length, sha256: arrayHash(elements, all) };
}

function arrayHash(elements: string, values: readonly unknown[]): string {
  const hash = createHash("sha256");
  if (elements === "string") return hash.update(values.join("\0")).digest("hex");
  const numbers = NUMBER_ARRAYS[elements]!.from(values as number[]);
  return hash.update(new Uint8Array(numbers.buffer)).digest("hex");
}

const NUMBER_ARRAYS: Readonly<Record<string, typeof Float32Array | typeof Int32Array | typeof Uint8Array>> = {
  float32: Float32Array,
  int32: Int32Array,
  uint8: Uint8Array,
};

describe.each(CASES)("%s", (name) => {
  const expected = JSON.parse(readFileSync(new URL(`${name}/expected/f32.json`, GOLDEN), "utf8")) as Expected;

  it("has the metadata of llama.cpp's converter", async () => {
    const { description } = await describeCase(name);
    const actual = [...description.metadata({ fileType: 0 })].map(([key, value]) => described(key, value));
    const unordered = new Set(expected.kv.filter((pair) => pair.unordered).map(({ key }) => key));
    const comparable = ({ key, type, elements, length, value, sha256 }: Pair): Pair => ({
      key,
      type,
      ...(type === "array" && { elements, length }),
      ...(sha256 === undefined
        ? { value: unordered.has(key) ? (value as string[]).toSorted() : value }
        : { sha256 }),
    });
    expect(actual.map(comparable)).toEqual(expected.kv.map(comparable));
  });

  it("has the tensors of llama.cpp's converter, bit by bit", async () => {
    const { description, reader } = await describeCase(name);
    const shapes = description.tensors.map(({ name, shape }) => ({ name, ne: shape.toReversed() }));
    expect(shapes).toEqual(expected.tensors.map(({ name, ne }) => ({ name, ne })));
    for (const [index, tensor] of description.tensors.entries()) {
      const { type, sha256 } = expected.tensors[index]!;
      expect(typeof tensor.storage === "object" ? tensor.storage.packed : "F32", tensor.name).toBe(type);
      expect(await hashOf(tensor, reader), tensor.name).toBe(sha256);
    }
  });
});
