import { open } from "node:fs/promises";
import type { ConversionPlan } from "@quern/pipeline";
import { QuernError } from "@quern/tensor";
import { partialPathOf, reportingAs } from "@quern/tensor/node";

/**
 * Checks that the partial files of a plan are here, as the coordinator has made them.
 *
 * @param wanted Positions of the outputs that are not finished.
 * @throws QuernError `QUEUE_NOT_SHARED`
 */
export async function checkPartialFiles(
  { outputs }: Pick<ConversionPlan, "outputs">,
  wanted: readonly number[],
): Promise<void> {
  for (const { path, fileSize, layout } of wanted.flatMap((output) => outputs[output]?.files ?? [])) {
    const partial = partialPathOf(path);
    const handle = await open(partial, "r+").catch((cause: Error) => {
      throw notShared(partial, cause.message, cause);
    });
    try {
      const { size } = await handle.stat();
      const header = Buffer.alloc(layout.header.byteLength);
      const { bytesRead } = await handle.read(header, 0, header.byteLength, 0);
      if (size !== fileSize || bytesRead !== header.byteLength || !header.equals(layout.header)) {
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
export async function settlePartialFiles(paths: Iterable<string>): Promise<void> {
  for (const path of paths) {
    await reportingAs(path, async () => {
      const handle = await open(partialPathOf(path), "r+");
      try {
        await handle.datasync();
      } finally {
        await handle.close();
      }
    });
  }
}
