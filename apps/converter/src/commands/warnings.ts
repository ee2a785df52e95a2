import { printable } from "../format/printable.ts";
import type { Host } from "../host.ts";
import { styleFor } from "../terminal.ts";

/** Tells of what is left out or looks wrong, but stops nothing. */
export function writeWarnings(warnings: readonly Error[], { stderr, env }: Host): void {
  const style = styleFor(stderr, env);
  for (const { message } of warnings) {
    stderr.write(`${style.yellow("warning:")} ${printable(message)}\n`);
  }
}
