import type { ByteSource } from "@quern/tensor";
import { readSafetensors } from "safetensors-js";
import type { Inspection } from "./inspection.ts";
import { inspectJson } from "./json-value.ts";

/** @throws QuernError as `readSafetensors` */
export async function inspectSafetensors(source: ByteSource): Promise<Inspection> {
  const file = await readSafetensors(source);
  return {
    format: "safetensors",
    files: [{ name: source.name, size: source.size }],
    facts: [],
    metadata: new Map(Object.entries(file.metadata).map(([key, value]) => [key, inspectJson(value)])),
    tensors: [...file.tensors.values()].map(({ info, size }) => ({
      name: info.name,
      type: info.type,
      shape: info.shape,
      bytes: size,
    })),
  };
}
