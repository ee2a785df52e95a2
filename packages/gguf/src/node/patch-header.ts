import { open, readFile, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { QuernError } from "@quern/tensor";
import { createOutputSet, reportingAs, syncDirectory, writeAt } from "@quern/tensor/node";

/** Bytes at the start of a file that others of the same number are to replace. */
export interface HeaderPatch {
  readonly path: string;
  readonly before: Uint8Array;
  readonly after: Uint8Array;
}

/** Where both headers are kept until the new one is on disk: first the old one, then the new one. */
export function undoPathOf(path: string): string {
  return `${path}.undo`;
}

/**
 * Overwrites the start of a file. Both headers are on disk as `<path>.undo` while that happens, so that `restoreGgufHeader` can
 * take the change back after a crash or a power failure.
 *
 * @throws QuernError `SOURCE_CHANGED` when the file does not start with `before` any more; `OUTPUT_` codes when writing fails: then
 * the old header is back, or the undo file remains
 */
export async function patchHeader({ path, before, after }: HeaderPatch): Promise<void> {
  const undo = new Uint8Array(before.byteLength + after.byteLength);
  undo.set(before);
  undo.set(after, before.byteLength);
  const undoPath = undoPathOf(path);
  await withStart(path, before.byteLength, async ({ start, write }) => {
    if (!start.equals(before)) {
      throw new QuernError(
        "SOURCE_CHANGED",
        `${path}: the header is not the one that the edit was planned for`,
        {
          subject: { file: path },
        },
      );
    }
    const set = await createOutputSet({
      files: [{ path: undoPath, size: undo.byteLength, header: undo }],
      replace: false,
    });
    try {
      await set.finish();
    } catch (error) {
      await set.abandon();
      throw error;
    }
    try {
      await write(after);
    } catch (error) {
      await write(before);
      await removeUndo(undoPath);
      throw error;
    }
  });
  await removeUndo(undoPath);
}

/**
 * Takes back an edit in place that a crash interrupted.
 *
 * @throws QuernError `GGUF_UNDO_MISSING` when there is nothing to take back; `GGUF_UNDO_MISMATCH` when the start of the file is
 * neither the old header, nor the new one, nor a mixture of both; or as writing
 */
export async function restoreGgufHeader({ path }: { path: string }): Promise<void> {
  const undoPath = undoPathOf(path);
  const undo = await readFile(undoPath).catch((cause: unknown) => {
    throw new QuernError("GGUF_UNDO_MISSING", `${undoPath}: there is no interrupted edit to take back`, {
      subject: { file: undoPath },
      cause,
    });
  });
  const size = undo.byteLength / 2;
  const before = undo.subarray(0, size);
  const after = undo.subarray(size);
  const isPossible = await stat(path).then(
    (file) => Number.isInteger(size) && file.size >= size,
    () => false,
  );
  await withStart(path, isPossible ? size : 0, async ({ start, write }) => {
    const isMixture =
      isPossible && start.every((byte, index) => byte === before[index] || byte === after[index]);
    if (!isMixture) {
      throw new QuernError(
        "GGUF_UNDO_MISMATCH",
        `${undoPath} is not of this file: remove it if it is of no use`,
        {
          subject: { file: path },
        },
      );
    }
    await write(before);
  });
  await removeUndo(undoPath);
}

/** Opens a file to overwrite its first bytes, and makes sure that they are on disk. */
async function withStart(
  path: string,
  size: number,
  use: (file: { start: Buffer; write: (bytes: Uint8Array) => Promise<void> }) => Promise<void>,
): Promise<void> {
  const handle = await reportingAs(path, () => open(path, "r+"));
  try {
    const start = Buffer.alloc(size);
    for (let at = 0; at < size;) {
      const { bytesRead } = await reportingAs(path, () => handle.read(start, at, size - at, at));
      if (bytesRead === 0) break;
      at += bytesRead;
    }
    await use({
      start,
      async write(bytes) {
        await writeAt({ handle, path, bytes, offset: 0 });
        await reportingAs(path, () => handle.sync());
      },
    });
  } finally {
    await handle.close();
  }
}

async function removeUndo(undoPath: string): Promise<void> {
  await reportingAs(undoPath, () => rm(undoPath, { force: true }));
  await syncDirectory(dirname(undoPath));
}
