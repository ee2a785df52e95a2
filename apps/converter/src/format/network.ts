import { formatBytes } from "./bytes.ts";
import { printable } from "./printable.ts";

/** What will be read over the network, and from where; nothing when all is on this machine. */
export function networkFact(bytes: number, location: string): (readonly [string, string])[] {
  return bytes === 0 ? [] : [["network", `${formatBytes(bytes)} from ${printable(location)}`]];
}
