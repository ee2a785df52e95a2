// Reads and compares with the golden set; fixtures/golden/README.md describes its files.
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type GgufArrayValue, type GgufScalar, type GgufValue, readGguf } from "@quern/gguf";
import { fileSource } from "@quern/tensor/node";

const root = fileURLToPath(new URL("../../../../fixtures/golden/", import.meta.url));

export interface GoldenPair {
  readonly key: string;
  readonly type: string;
  readonly value?: unknown;
  readonly elements?: string;
  readonly length?: number;
  readonly sha256?: string;
  readonly first?: unknown;
  readonly unordered?: boolean;
}

export interface GoldenTensor {
  readonly name: string;
  readonly type: string;
  readonly ne: readonly number[];
  readonly size: number;
  readonly sha256: string;
}

/** What the converter wrote. */
export interface GoldenFile {
  readonly file: { readonly size: number; readonly sha256: string };
  readonly gguf_version: number;
  readonly alignment: number;
  readonly data_offset: number;
  readonly kv: readonly GoldenPair[];
  readonly tensors: readonly GoldenTensor[];
}

/** What the quantizer wrote, or `error`. */
export interface GoldenQuantized {
  readonly command: string;
  readonly source: string;
  readonly error?: string;
  readonly file: { readonly size: number; readonly sha256: string };
  readonly kv_keys: readonly string[];
  readonly kv_changed: readonly GoldenPair[];
  readonly fallbacks: readonly string[];
  readonly tensors: readonly GoldenTensor[];
}

export function goldenPath(...path: string[]): string {
  return join(root, ...path);
}

/** Names without the ending of the descriptions in a folder; none when there is no such folder. */
export async function goldenNames(...path: string[]): Promise<string[]> {
  const names = await readdir(goldenPath(...path)).catch(() => []);
  return names.flatMap((name) => (name.endsWith(".json") ? [name.slice(0, -".json".length)] : [])).sort();
}

/** Every case with a checkpoint. */
export async function goldenCases(): Promise<string[]> {
  const names = await readdir(root);
  return names.filter((name) => existsSync(goldenPath(name, "checkpoint", "config.json"))).sort();
}

export function readGolden<T>(...path: string[]): T {
  return JSON.parse(readFileSync(goldenPath(...path), "utf8")) as T;
}

/** A GGUF file in the words of the golden set. */
export async function describeGguf(path: string): Promise<GoldenFile> {
  const bytes = await readFile(path);
  const source = await fileSource({ path });
  try {
    const gguf = await readGguf(source);
    const tensors = [...gguf.tensors.values()].map(({ name, type, ne, offset, size }) => {
      return { name, type, ne: [...ne], size, sha256: sha256(bytes.subarray(offset, offset + size)) };
    });
    return {
      file: { size: bytes.byteLength, sha256: sha256(bytes) },
      gguf_version: gguf.version,
      alignment: gguf.alignment,
      data_offset: gguf.dataOffset,
      kv: [...gguf.metadata].map(([key, value]) => describePair(key, value)),
      tensors,
    };
  } finally {
    await source.close();
  }
}

/** Sorts the arrays whose order means nothing, in both descriptions. */
export function withoutSetOrder(pairs: readonly GoldenPair[], unordered: ReadonlySet<string>): GoldenPair[] {
  return pairs.map(({ unordered: isUnordered, ...pair }) =>
    isUnordered === true || unordered.has(pair.key)
      ? { ...pair, value: (pair.value as string[]).slice().sort() }
      : pair,
  );
}

/** All pairs that the quantizer should have written. */
export function quantizedPairs(source: readonly GoldenPair[], quantized: GoldenQuantized): GoldenPair[] {
  const pairs = new Map([...source, ...quantized.kv_changed].map((pair) => [pair.key, pair]));
  return quantized.kv_keys.map((key) => pairs.get(key)!);
}

const MOST_SHOWN = 64;

function describePair(key: string, value: GgufValue): GoldenPair {
  if (value.type !== "array") return { key, type: value.type, value: plain(value.value) };
  const { type, elements, length } = value;
  const values = [...value].map(plain);
  if (length <= MOST_SHOWN) return { key, type, elements, length, value: values };
  return { key, type, elements, length, sha256: sha256(encodeArray(value)), first: values.slice(0, 5) };
}

function plain(value: GgufScalar | GgufArrayValue): unknown {
  return typeof value === "bigint" ? Number(value) : value;
}

function encodeArray(array: GgufArrayValue): Uint8Array {
  if (array.elements === "string") return new TextEncoder().encode(([...array] as string[]).join("\0"));
  const values = [...array].map(Number);
  const writers: Record<string, (view: DataView, offset: number, value: number) => void> = {
    float32: (view, offset, value) => view.setFloat32(offset, value, true),
    int32: (view, offset, value) => view.setInt32(offset, value, true),
    uint32: (view, offset, value) => view.setUint32(offset, value, true),
    uint8: (view, offset, value) => view.setUint8(offset, value),
    bool: (view, offset, value) => view.setUint8(offset, value),
  };
  const width = ["bool", "uint8"].includes(array.elements) ? 1 : 4;
  const bytes = new Uint8Array(values.length * width);
  const view = new DataView(bytes.buffer);
  for (const [index, value] of values.entries()) writers[array.elements]!(view, index * width, value);
  return bytes;
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
