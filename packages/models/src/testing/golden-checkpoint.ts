import { existsSync, readdirSync, readFileSync } from "node:fs";
import { bytesSource } from "@quern/tensor";
import { readSafetensors, type SafetensorsTensor } from "safetensors-js";
import type { TensorReader } from "../expressions/expression.ts";
import type { CheckpointFiles, ModelInput } from "../model.ts";

/** Folder of the golden cases (README.md there). */
export const GOLDEN = new URL("../../../../fixtures/golden/", import.meta.url);

/** A checkpoint of a golden case, as `describeModel` and expressions read it. */
export interface GoldenCheckpoint {
  readonly input: ModelInput;
  readonly reader: TensorReader;
}

/** @param edits Values of config.json that are changed. */
export async function goldenCheckpoint(
  name: string,
  edits: Readonly<Record<string, unknown>> = {},
): Promise<GoldenCheckpoint> {
  const folder = new URL(`${name}/checkpoint/`, GOLDEN);
  const tensors = await checkpointTensors(folder);
  const infos = new Map([...tensors].map(([key, { info }]) => [key, info]));
  return {
    input: { files: checkpointFiles(folder, edits), tensors: infos },
    reader: {
      info: (tensor) => infos.get(tensor)!,
      readRows: (tensor, start, count) => tensors.get(tensor)!.readRows(start, count),
    },
  };
}

function checkpointFiles(folder: URL, edits: Readonly<Record<string, unknown>>): CheckpointFiles {
  return {
    name: "checkpoint",
    has: (path) => existsSync(new URL(path, folder)),
    async read(path) {
      if (!existsSync(new URL(path, folder))) return undefined;
      const bytes = readFileSync(new URL(path, folder));
      if (path !== "config.json" || Object.keys(edits).length === 0) return bytes;
      return new TextEncoder().encode(JSON.stringify({ ...JSON.parse(bytes.toString()), ...edits }));
    },
    list: (path) => (existsSync(new URL(path, folder)) ? readdirSync(new URL(path, folder)) : []),
  };
}

/** Tensors in the order of the sorted shards, sorted by name within each. */
async function checkpointTensors(folder: URL): Promise<Map<string, SafetensorsTensor>> {
  const tensors = new Map<string, SafetensorsTensor>();
  for (const name of readdirSync(folder)
    .filter((file) => file.endsWith(".safetensors"))
    .sort()) {
    const file = await readSafetensors(bytesSource({ bytes: readFileSync(new URL(name, folder)), name }));
    const names = [...file.tensors.keys()].sort();
    for (const tensor of names) tensors.set(tensor, file.tensors.get(tensor)!);
  }
  return tensors;
}
