import { stat } from "node:fs/promises";
import { openCheckpointDirectory } from "@quern/checkpoints/node";
import { fileSource } from "@quern/tensor/node";
import { inspectCheckpoint } from "./checkpoint.ts";
import { inspectGguf } from "./gguf.ts";
import type { Inspection } from "./inspection.ts";
import { inspectSafetensors } from "./safetensors.ts";

const ggufMagic = "GGUF";

/**
 * Looks at a GGUF file (or the first of a split set), a safetensors file or the folder of a checkpoint.
 *
 * The first bytes of a file decide what it is, as blobs in a cache have no name that says; of a damaged file, its name.
 *
 * @throws QuernError `SOURCE_*` when the file cannot be read, and what the readers of its format throw
 */
export async function inspectPath(path: string): Promise<Inspection> {
  const isFolder = await stat(path).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
  if (isFolder) {
    return inspectCheckpoint(await openCheckpointDirectory(path));
  }
  const source = await fileSource({ path });
  try {
    const start = await source.read(0, Math.min(ggufMagic.length, source.size));
    return String.fromCharCode(...start) === ggufMagic || path.toLowerCase().endsWith(".gguf")
      ? await inspectGguf(path)
      : await inspectSafetensors(source);
  } finally {
    await source.close();
  }
}
