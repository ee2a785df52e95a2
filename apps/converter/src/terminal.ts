import { createStyle, type Style } from "./format/style.ts";
import type { Host, OutputStream } from "./host.ts";

/** Whether cursor movement and redrawn lines make sense on a stream: not in pipes, CI logs or dumb terminals. */
export function isInteractive(stream: OutputStream, env: Host["env"]): boolean {
  return stream.isTTY === true && !isSet(env["CI"]) && env["TERM"] !== "dumb";
}

/** Whether a stream shows colours: NO_COLOR (no-color.org) and FORCE_COLOR decide, then whether it is a terminal. */
export function hasColors(stream: OutputStream, env: Host["env"]): boolean {
  if (isSet(env["NO_COLOR"])) return false;
  if (isSet(env["FORCE_COLOR"])) return env["FORCE_COLOR"] !== "0";
  return stream.isTTY === true && env["TERM"] !== "dumb";
}

/** Emphasis for a stream, where it shows colours. */
export function styleFor(stream: OutputStream, env: Host["env"]): Style {
  return createStyle(hasColors(stream, env));
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== "";
}
