/** Waits for something that cannot be stopped, no longer than until a signal. @throws the reason of the signal */
export async function abortable<T>(waiting: Promise<T>, signal: AbortSignal): Promise<T> {
  // Nobody may be left to hear of it.
  waiting.catch(() => undefined);
  signal.throwIfAborted();
  let stop: (() => void) | undefined;
  const stopped = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
  });
  try {
    return await Promise.race([waiting, stopped]);
  } finally {
    signal.removeEventListener("abort", stop!);
  }
}
