/** Where text goes; a subset of NodeJS.WriteStream. */
export interface OutputStream {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

/** The process as the commands see it, so that tests can run them inside their own. */
export interface Host {
  /** Results only: summaries, tables, JSON. */
  readonly stdout: OutputStream;
  /** Everything else: progress, warnings, errors. */
  readonly stderr: OutputStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /**
   * Calls `listener` when the user asks to stop (SIGINT, SIGTERM), instead of ending the process at once.
   *
   * @returns a function that takes the listener away
   */
  onInterrupt(listener: () => void): () => void;
}

/** The real process. */
export function processHost(): Host {
  ignoreClosedPipe(process.stdout);
  ignoreClosedPipe(process.stderr);
  return {
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    cwd: process.cwd(),
    onInterrupt(listener) {
      process.on("SIGINT", listener);
      process.on("SIGTERM", listener);
      return () => {
        process.off("SIGINT", listener);
        process.off("SIGTERM", listener);
      };
    },
  };
}

const guarded = new WeakSet<NodeJS.WriteStream>();

/** A reader that closes the pipe early (`quern inspect model.gguf | head`) has seen enough: that is no failure. */
function ignoreClosedPipe(stream: NodeJS.WriteStream): void {
  if (guarded.has(stream)) {
    return;
  }
  guarded.add(stream);
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") {
      throw error;
    }
  });
}
