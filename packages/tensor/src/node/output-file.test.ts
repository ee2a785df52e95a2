import { open } from "node:fs/promises";
import { expect, it } from "vitest";
import { writeAt } from "./output-file.ts";

it.skipIf(process.platform !== "linux")("says when the disk is full", async () => {
  const handle = await open("/dev/full", "w");
  try {
    const write = writeAt({ handle, path: "model.gguf", bytes: Uint8Array.of(1), offset: 0 });
    await expect(write).rejects.toMatchObject({ code: "OUTPUT_DISK_FULL", subject: { file: "model.gguf" } });
  } finally {
    await handle.close();
  }
});
