import type { NetworkWaitEvent } from "@quern/hub";
import { describeWait, isLongWait } from "../format/network-wait.ts";
import { printable } from "../format/printable.ts";
import type { OutputStream } from "../host.ts";
import type { Reporter, WorkEvent } from "./reporter.ts";

/** Lines for the same reason are so far apart, at least. */
const leastMilliseconds = 1000;

/** A line for each wait for a server; one for all requests that wait together for the same reason. */
export class WaitLines implements Reporter {
  private readonly stream: OutputStream;
  private readonly now: () => number;
  private readonly all: boolean;
  /** When the wait ends that was told last, by reason. */
  private readonly told = new Map<string, number>();

  constructor(params: {
    readonly stream: OutputStream;
    readonly now: () => number;
    /** Whether short waits are told, too. Default: no. */
    readonly all?: boolean;
  }) {
    this.stream = params.stream;
    this.now = params.now;
    this.all = params.all === true;
  }

  onEvent(event: WorkEvent): void {
    if (event.type !== "network:wait" || !(this.all || isLongWait(event)) || this.isKnown(event)) return;
    this.stream.write(`${printable(describeWait(event))}\n`);
  }

  close(): void {
    // Every line is complete as it is written.
  }

  /** Whether a line says as much already. Waits that begin together end at different times: up to half of each is random. */
  private isKnown({ reason, seconds }: NetworkWaitEvent): boolean {
    const length = seconds * 1000;
    const end = this.now() + length;
    const known = this.told.get(reason);
    if (known !== undefined && known >= end - Math.max(length / 2, leastMilliseconds)) return true;
    this.told.set(reason, end);
    return false;
  }
}
