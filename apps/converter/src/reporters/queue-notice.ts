import { formatInteger } from "../format/number.ts";
import type { WorkEvent } from "./reporter.ts";

/** What people are told of other machines, in one line; undefined for all other news. */
export function queueNotice(event: WorkEvent): string | undefined {
  switch (event.type) {
    case "worker:joined":
      return `${event.worker} works, too (${event.kernels})`;
    case "worker:refused":
      return `${event.worker} does not work: ${event.message} (${event.code})`;
    case "job:repeated":
      return `${event.tensor} is converted once more: what was written is not in the file`;
    case "run:renewed":
      return `Redis has lost its data: ${formatInteger(event.tensors)} tensors are put up again`;
    default:
      return undefined;
  }
}
