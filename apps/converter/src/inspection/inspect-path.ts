import { stat } from "node:fs/promises";
import { openCheckpointDirectory } from "@quern/checkpoints/node";
import { QuernError } from "@quern/tensor";
import { fileSource } from "@quern/tensor/node";
import { inspectCheckpoint } from "./checkpoint.ts";
import { inspectGguf } from "./gguf.ts";
import type { Inspection } from "./inspection.ts";
import { inspectSafetensors } from "./safetensors.ts";

const GGUF_MAGIC = "GGUF";

/** The JSON of a safetensors header, behind the eight bytes of its length. */
const SAFETENSORS_START = { offset: 8, byte: "{" } as const;

/**
 * Looks at a GGUF file (or the first of a split set), a safetensors file or the folder of a checkpoint.
 *
 * The first bytes of a file decide what it is, as blobs in a cache have no name that says; of a damaged file, its name.
 *
 * @throws QuernError `SOURCE_UNKNOWN_FORMAT` for any other file, `SOURCE_*` when the file cannot be read, and what the readers of its
 * format throw
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
    const { offset, byte } = SAFETENSORS_START;
    const start = String.fromCharCode(...(await source.read(0, Math.min(offset + 1, source.size))));
    const isCalled = (ending: string): boolean => path.toLowerCase().endsWith(ending);
    if (start.startsWith(GGUF_MAGIC) || isCalled(".gguf")) return await inspectGguf(path);
    if (start[offset] === byte || isCalled(".safetensors")) return await inspectSafetensors(source);
    throw new QuernError(
      "SOURCE_UNKNOWN_FORMAT",
      `${path}: expected a GGUF file, a safetensors file or the folder of a checkpoint`,
      { subject: { file: path } },
    );
  } finally {
    await source.close();
  }
}
