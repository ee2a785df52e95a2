import { basename } from "node:path";
import {
  type GgufArrayValue,
  type GgufScalar,
  type GgufValue,
  type GgufValueType,
  readGgufSet,
} from "@quern/gguf";
import { fileSource } from "@quern/tensor/node";
import type { InspectedValue, Inspection, JsonValue } from "./inspection.ts";

/**
 * Any file of a split set stands for all of them.
 *
 * @throws QuernError as `readGgufSet`
 */
export async function inspectGguf(path: string): Promise<Inspection> {
  const sizes: number[] = [];
  const set = await readGgufSet({
    fileName: path,
    open: async (fileName) => {
      const source = await fileSource({ path: fileName });
      sizes.push(source.size);
      return source;
    },
  });
  await set.close();
  const first = set.files[0]!;
  return {
    format: "gguf",
    files: set.files.map(({ name }, index) => ({ name: basename(name), size: sizes[index]! })),
    facts: [
      ["version", String(first.version)],
      ["alignment", `${first.alignment} bytes`],
    ],
    metadata: new Map([...set.metadata].map(([key, value]) => [key, inspectValue(value)])),
    tensors: [...set.tensors.values()].map(({ name, type, ne, size }) => ({
      name,
      type,
      shape: ne,
      bytes: size,
    })),
  };
}

/** A value of the metadata for inspection. */
export function inspectValue(entry: GgufValue): InspectedValue {
  if (entry.type === "array") {
    return {
      type: entry.elements,
      length: entry.length,
      value: (limit) => inspectArray(entry, limit),
    };
  }
  const { type, value } = entry;
  return { type, value: () => inspectScalar(value, type) };
}

function inspectArray(array: GgufArrayValue, limit: number): JsonValue[] {
  return Array.from({ length: Math.min(array.length, limit) }, (_, index) => {
    const element = array.at(index);
    return typeof element === "object"
      ? inspectArray(element, limit)
      : inspectScalar(element, array.elements);
  });
}

function inspectScalar(value: GgufScalar, type: GgufValueType): JsonValue {
  if (typeof value === "bigint") {
    // JSON readers take numbers for doubles.
    return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  }
  if (typeof value === "number") {
    return Number.isFinite(value) ? (type === "float32" ? shortestFloat32(value) : value) : String(value);
  }
  return value;
}

/** The shortest decimal that is the same float32: 1e-5 instead of 0.000009999999747378752. */
function shortestFloat32(value: number): number {
  for (let digits = 1; digits <= 9; digits++) {
    const shorter = Number(value.toPrecision(digits));
    if (Math.fround(shorter) === value) {
      return shorter;
    }
  }
  return value;
}
