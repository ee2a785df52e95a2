import { mkdir, open, rm, stat, utimes } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** Whoever holds a lock says so this often; one who has been silent for several times as long is gone. */
const BEAT = 2_000;
const SILENCE = 15_000;
const LOOK_AGAIN = 200;

/**
 * Does work that one process at a time may do. The lock is a file that exists: file systems that several machines share know how to
 * make one exclusively, where other locks may not hold.
 */
export async function withFileLock<Result>(
  path: string,
  signal: AbortSignal | undefined,
  work: () => Promise<Result>,
): Promise<Result> {
  await mkdir(dirname(path), { recursive: true });
  while (!(await tryLock(path))) await sleep(LOOK_AGAIN, undefined, signal === undefined ? {} : { signal });
  const beat = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => undefined);
  }, BEAT);
  beat.unref();
  try {
    return await work();
  } finally {
    clearInterval(beat);
    await rm(path, { force: true });
  }
}

async function tryLock(path: string): Promise<boolean> {
  try {
    await (await open(path, "wx")).close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  const held = await stat(path).catch(() => undefined);
  if (held !== undefined && Date.now() - held.mtimeMs > SILENCE) await rm(path, { force: true });
  return false;
}
