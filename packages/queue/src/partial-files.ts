import { open } from "node:fs/promises";
import { QuernError } from "@quern/tensor";
import { reportingAs } from "@quern/tensor/node";
import type { SharedFile } from "./shared-plan.ts";

/**
 * Checks that partial files are here, as the coordinator has made them.
 *
 * @throws QuernError `QUEUE_NOT_SHARED`
 */
export async function checkPartialFiles(files: readonly SharedFile[]): Promise<void> {
  for (const { partial, size: expected, header } of files) {
    const handle = await open(partial, "r+").catch((cause: Error) => {
      throw notShared(partial, cause.message, cause);
    });
    try {
      const { size } = await handle.stat();
      const beginning = Buffer.alloc(header.byteLength);
      const { bytesRead } = await handle.read(beginning, 0, beginning.byteLength, 0);
      if (size !== expected || bytesRead !== header.byteLength || !beginning.equals(header)) {
        throw notShared(partial, "it is not the file of the run");
      }
    } finally {
      await handle.close();
    }
  }
}

function notShared(path: string, problem: string, cause?: Error): QuernError {
  return new QuernError(
    "QUEUE_NOT_SHARED",
    `${path}: expected the file that the coordinator has made, on storage that all machines share: ${problem}`,
    { subject: { file: path }, cause },
  );
}

/** Makes sure that what was written to files is not only in the memory of this machine. */
export async function settlePartialFiles(files: Iterable<SharedFile>): Promise<void> {
  for (const { path, partial } of files) {
    await reportingAs(path, async () => {
      const handle = await open(partial, "r+");
      try {
        await handle.datasync();
      } finally {
        await handle.close();
      }
    });
  }
}
