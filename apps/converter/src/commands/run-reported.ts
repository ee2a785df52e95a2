import type { NetworkWaitEvent } from "@quern/hub";
import { QuernError } from "@quern/tensor";
import type { Host } from "../host.ts";
import { createReporter, createWaitReporter, type ReporterName } from "../reporters/create-reporter.ts";
import type { Measure } from "../reporters/measure.ts";
import type { Reporter, WorkEvent } from "../reporters/reporter.ts";

/** Options that say how much a command tells. */
export interface MessageOptions {
  readonly json?: true;
  readonly quiet?: true;
  readonly verbose?: true;
  /** False with `--no-progress`. */
  readonly progress: boolean;
}

/** How the options want progress to be shown. */
export function reporterName(options: Partial<MessageOptions>): ReporterName {
  if (options.json) {
    return "json";
  }
  if (options.verbose) {
    return "verbose";
  }
  if (options.quiet) {
    return "none";
  }
  return options.progress ? "auto" : "waits";
}

/** What shows work on a host now. */
const showing = new WeakMap<Host, Reporter>();

/** Who tells of waits for servers: what shows the work, and before and after it lines of their own. */
export function waitTeller(host: Host, options: Partial<MessageOptions>): (event: NetworkWaitEvent) => void {
  const alone = createWaitReporter({ name: reporterName(options), host });
  return (event) => (showing.get(host) ?? alone).onEvent(event);
}

/**
 * Does work and shows how it gets on, until it is done or the user has had enough.
 *
 * @throws QuernError `INTERRUPTED`, and what `run` throws
 */
export async function runReported<Result>(params: {
  readonly host: Host;
  readonly reporter: ReporterName;
  /** "converting" */
  readonly activity: string;
  readonly measure: Measure;
  /** What is left after an interruption. Default, and for undefined: nothing. */
  readonly interrupted?: string | (() => string | undefined);
  readonly run: (options: {
    readonly signal: AbortSignal;
    readonly onEvent: (event: WorkEvent) => void;
    /** Other work comes now, which is shown from its beginning. */
    readonly turnTo: (activity: string, measure: Measure) => void;
  }) => Promise<Result>;
}): Promise<Result> {
  const { host, reporter: name, activity, measure, run } = params;
  const interruption = new AbortController();
  let reporter = createReporter({ name, activity, measure, host });
  showing.set(host, reporter);
  const ignoreInterrupts = host.onInterrupt(() => {
    // The next signal meets nobody who listens, and ends the process at once.
    ignoreInterrupts();
    interruption.abort();
  });
  try {
    return await run({
      signal: interruption.signal,
      onEvent: (event) => reporter.onEvent(event),
      turnTo(nextActivity, nextMeasure) {
        reporter.close();
        reporter = createReporter({ name, activity: nextActivity, measure: nextMeasure, host });
        showing.set(host, reporter);
      },
    });
  } catch (error) {
    if (interruption.signal.aborted) {
      const left = typeof params.interrupted === "function" ? params.interrupted() : params.interrupted;
      const message = `Interrupted: ${left ?? "unfinished output files have been removed"}.`;
      throw new QuernError("INTERRUPTED", message, { cause: error });
    }
    throw error;
  } finally {
    ignoreInterrupts();
    showing.delete(host);
    reporter.close();
  }
}
