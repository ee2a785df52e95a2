import type { Host, OutputStream } from "../host.ts";

/** A stream that keeps what is written. */
export class MemoryStream implements OutputStream {
  text = "";
  /** Called after each write. */
  onWrite: ((text: string) => void) | undefined;
  readonly isTTY: boolean;
  readonly columns: number | undefined;

  constructor(params: { readonly isTTY?: boolean; readonly columns?: number } = {}) {
    this.isTTY = params.isTTY ?? false;
    this.columns = params.columns;
  }

  write(text: string): boolean {
    this.text += text;
    this.onWrite?.(text);
    return true;
  }

  get lines(): string[] {
    return this.text.split("\n").slice(0, -1);
  }
}

/** A host whose output can be read, and whose user interrupts when `interrupt` is called. */
export class MemoryHost implements Host {
  readonly stdout: MemoryStream;
  readonly stderr: MemoryStream;
  readonly env: Record<string, string | undefined>;
  readonly cwd: string;
  private readonly listeners = new Set<() => void>();

  constructor(params: {
    readonly cwd: string;
    readonly env?: Record<string, string | undefined>;
    readonly terminal?: boolean;
    /** Of a terminal, or of what looks like one to help. */
    readonly columns?: number;
  }) {
    this.cwd = params.cwd;
    this.env = params.env ?? {};
    const { terminal = false, columns = terminal ? 80 : undefined } = params;
    const stream = { isTTY: terminal, ...(columns === undefined ? {} : { columns }) };
    this.stdout = new MemoryStream(stream);
    this.stderr = new MemoryStream(stream);
  }

  onInterrupt(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  interrupt(): void {
    for (const listener of this.listeners) {
      listener();
    }
  }

  /** Standard output, line by line as JSON. */
  get records(): Array<Record<string, unknown>> {
    return this.stdout.lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  }
}
