import type { Host } from "../host.ts";
import { isInteractive, styleFor } from "../terminal.ts";
import { JsonReporter } from "./json.ts";
import type { Measure } from "./measure.ts";
import { PlainReporter } from "./plain.ts";
import type { Reporter } from "./reporter.ts";
import { TtyReporter } from "./tty.ts";
import { WaitLines } from "./wait-lines.ts";

interface ReporterContext {
  readonly host: Host;
  /** What is being done: "converting". */
  readonly activity: string;
  readonly measure: Measure;
  /** Milliseconds. */
  readonly now: () => number;
}

const reporters = {
  tty: ({ host, activity: _activity, ...context }: ReporterContext): Reporter =>
    new TtyReporter({ stream: host.stderr, style: styleFor(host.stderr, host.env), ...context }),
  plain: ({ host, ...context }: ReporterContext): Reporter =>
    new PlainReporter({ stream: host.stderr, ...context }),
  verbose: ({ host, ...context }: ReporterContext): Reporter =>
    new PlainReporter({ stream: host.stderr, steps: true, ...context }),
  waits: ({ host, now }: ReporterContext): Reporter => new WaitLines({ stream: host.stderr, now }),
  json: ({ host, now }: ReporterContext): Reporter => new JsonReporter({ stream: host.stdout, now }),
  none: (): Reporter => ({ onEvent: () => undefined, close: () => undefined }),
};

/** How progress is shown; "auto" is "tty" on a terminal, otherwise "plain"; "waits" shows none, but tells what is waited for. */
export type ReporterName = keyof typeof reporters | "auto";

export function createReporter(params: {
  readonly name: ReporterName;
  readonly activity: string;
  readonly measure: Measure;
  readonly host: Host;
}): Reporter {
  const { name, ...context } = params;
  const automatic = isInteractive(context.host.stderr, context.host.env) ? "tty" : "plain";
  return reporters[name === "auto" ? automatic : name]({ ...context, now: () => performance.now() });
}

/** What tells of waits for servers while no work is shown. */
export function createWaitReporter({ name, host }: { name: ReporterName; host: Host }): Reporter {
  const now = (): number => performance.now();
  if (name === "none") return reporters.none();
  if (name === "json") return new JsonReporter({ stream: host.stdout, now });
  return new WaitLines({ stream: host.stderr, now, all: name === "verbose" });
}
