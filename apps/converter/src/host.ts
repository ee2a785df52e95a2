import { exitCodes } from "./exit-codes.ts";

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
   * Calls `listener` when the user asks to stop (SIGINT, SIGTERM, a terminal that is closed), instead of ending the process at once.
   *
   * @returns a function that takes the listener away
   */
  onInterrupt(listener: () => void): () => void;
}

/** The real process. */
export function processHost(): Host {
  const { stdout, stderr } = process;
  ignoreClosed(stdout);
  ignoreClosed(stderr);
  const isOnTerminal = stdout.isTTY || stderr.isTTY;
  // Node takes back what nohup asks for. Where nothing is shown on a terminal, work goes on when that is closed.
  if (!isOnTerminal) process.on("SIGHUP", () => undefined);
  return {
    stdout,
    stderr,
    env: process.env,
    cwd: process.cwd(),
    onInterrupt(listener) {
      const onHangup = (): void => {
        process.once("exit", endByHangup);
        listener();
      };
      process.on("SIGINT", listener);
      process.on("SIGTERM", listener);
      if (isOnTerminal) process.on("SIGHUP", onHangup);
      return () => {
        process.off("SIGINT", listener);
        process.off("SIGTERM", listener);
        process.off("SIGHUP", onHangup);
      };
    },
  };
}

/** Node would abort when it finds no terminal to leave as it was. */
function endByHangup(): void {
  process.kill(process.pid, "SIGHUP");
}

const guarded = new WeakSet<NodeJS.WriteStream>();

/**
 * A reader that closes the pipe early (`quern inspect model.gguf | head`) has seen enough, and so has a terminal that is gone: that is no
 * failure. Results that get lost otherwise are one, progress is not.
 */
function ignoreClosed(stream: NodeJS.WriteStream): void {
  if (guarded.has(stream)) {
    return;
  }
  guarded.add(stream);
  stream.on("error", (error: NodeJS.ErrnoException) => {
    const isClosed = error.code === "EPIPE" || (stream.isTTY && error.code === "EIO");
    if (isClosed || stream === process.stderr) return;
    process.stderr.write(`error: standard output cannot be written: ${error.message}\n`);
    process.exit(exitCodes.output);
  });
}
