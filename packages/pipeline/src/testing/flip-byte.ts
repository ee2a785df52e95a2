import { open } from "node:fs/promises";

/** Changes a byte of a file while something is done, and changes it back. */
export async function withFlippedByte<Result>(
  { path, offset, mask }: { readonly path: string; readonly offset: number; readonly mask: number },
  work: () => Promise<Result>,
): Promise<Result> {
  const flip = async (): Promise<void> => {
    const handle = await open(path, "r+");
    try {
      const byte = new Uint8Array(1);
      await handle.read(byte, 0, 1, offset);
      byte[0]! ^= mask;
      await handle.write(byte, 0, 1, offset);
    } finally {
      await handle.close();
    }
  };
  await flip();
  try {
    return await work();
  } finally {
    await flip();
  }
}
