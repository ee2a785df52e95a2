import type { ConversionEvent, ConversionPlan } from "@quern/pipeline";
import type { Host } from "../host.ts";
import { isInteractive, styleFor } from "../terminal.ts";
import { JsonReporter } from "./json.ts";
import { PlainReporter } from "./plain.ts";
import { TtyReporter } from "./tty.ts";

/** Shows a conversion while it runs. */
export interface Reporter {
  onEvent(event: ConversionEvent): void;
  /** Leaves the stream at the beginning of a line; nothing is written afterwards. */
  close(): void;
}

/** How progress is shown; "auto" is "tty" on a terminal, otherwise "plain". */
export type ReporterName = "auto" | "tty" | "plain" | "json" | "none";

/** @param params.now milliseconds from any clock; default `performance.now` */
export function createReporter(params: {
  readonly name: ReporterName;
  readonly plan: ConversionPlan;
  readonly host: Host;
  readonly now?: () => number;
}): Reporter {
  const { plan, host, now = () => performance.now() } = params;
  const name =
    params.name === "auto" ? (isInteractive(host.stderr, host.env) ? "tty" : "plain") : params.name;
  const style = styleFor(host.stderr, host.env);
  switch (name) {
    case "tty":
      return new TtyReporter({ stream: host.stderr, sourceBytes: plan.sourceBytes, style, now });
    case "plain":
      return new PlainReporter({ stream: host.stderr, sourceBytes: plan.sourceBytes, now });
    case "json":
      return new JsonReporter({ stream: host.stdout, now });
    case "none":
      return { onEvent: () => undefined, close: () => undefined };
  }
}
