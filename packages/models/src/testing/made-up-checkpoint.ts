import { readFileSync } from "node:fs";
import { elementCount, type TensorInfo } from "@quern/tensor";
import type { CheckpointFiles } from "../model.ts";

/** Folder of the checkpoints without a tokenizer (README.md there). */
export const CONVERTER = new URL("../../../../fixtures/converter/", import.meta.url);

type Json = Record<string, unknown>;

/** A checkpoint and what llama.cpp's converter makes of it. */
export interface MadeUpCheckpoint {
  config: Json;
  /** Other JSON files, by path. */
  files: Json;
  tensors: Record<string, [type: TensorInfo["type"], shape: number[]]>;
  expected: {
    kv: { key: string; type: string; elements?: string; value: unknown }[];
    tensors: { name: string; ne: number[]; sha256: string }[];
  };
}

/** Tokens of the vocabulary of all these checkpoints. */
export const MADE_UP_VOCABULARY = 40;

export function madeUpCheckpoint(name: string): MadeUpCheckpoint {
  return JSON.parse(readFileSync(new URL(`${name}.json`, CONVERTER), "utf8")) as MadeUpCheckpoint;
}

export function madeUpFiles({ config, files }: Pick<MadeUpCheckpoint, "config" | "files">): CheckpointFiles {
  const all: Json = { ...files, "config.json": config };
  return {
    name: "checkpoint",
    has: (path) => Object.hasOwn(all, path),
    read: async (path) =>
      Object.hasOwn(all, path) ? new TextEncoder().encode(JSON.stringify(all[path])) : undefined,
    list: () => [],
  };
}

export function madeUpTensors({ tensors }: Pick<MadeUpCheckpoint, "tensors">): Map<string, TensorInfo> {
  return new Map(Object.entries(tensors).map(([name, [type, shape]]) => [name, { name, type, shape }]));
}

/** The weights of a tensor, which every element type of these checkpoints holds exactly. */
export function madeUpWeights({ name, shape }: Pick<TensorInfo, "name" | "shape">): Float32Array {
  let seed = 2166136261;
  for (const byte of new TextEncoder().encode(name)) seed = Math.imul(seed ^ byte, 16777619) >>> 0;
  return Float32Array.from(
    { length: elementCount(shape) },
    (_, index) => ((Math.imul(index, 2654435761) + seed) >>> 24) / 16 - 8,
  );
}
