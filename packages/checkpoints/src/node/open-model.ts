import { stat } from "node:fs/promises";
import { QuernError } from "@quern/tensor";
import { fileSource } from "@quern/tensor/node";
import type { Checkpoint } from "../checkpoint.ts";
import type { GgufModel } from "../gguf-model.ts";
import { openCheckpointDirectory } from "./open-checkpoint-directory.ts";
import { openGgufModel } from "./open-gguf-model.ts";

const GGUF_MAGIC = "GGUF";

/**
 * Opens whatever model is there: the folder of a checkpoint, or a GGUF file.
 *
 * The first bytes of a file decide, as blobs in a cache have no name that says; of a damaged file, its name.
 *
 * @throws QuernError `CHECKPOINT_NOT_FOUND` where nothing is there, `CHECKPOINT_NOT_A_FOLDER` for any other file, and what {@link openCheckpointDirectory} and
 * {@link openGgufModel} throw
 */
export async function openModel(path: string): Promise<Checkpoint | GgufModel> {
  const stats = await stat(path).catch((cause: unknown) => {
    throw new QuernError("CHECKPOINT_NOT_FOUND", `${path}: no such file or folder`, {
      subject: { file: path },
      cause,
    });
  });
  if (!stats.isFile()) return openCheckpointDirectory(path);
  if (path.toLowerCase().endsWith(".gguf") || (await startsAsGguf(path))) return openGgufModel(path);
  throw new QuernError(
    "CHECKPOINT_NOT_A_FOLDER",
    `${path}: expected the folder of a model or a GGUF file, found another file`,
    { subject: { file: path } },
  );
}

async function startsAsGguf(path: string): Promise<boolean> {
  const source = await fileSource({ path });
  try {
    const start = await source.read(0, Math.min(GGUF_MAGIC.length, source.size));
    return String.fromCharCode(...start) === GGUF_MAGIC;
  } finally {
    await source.close();
  }
}
