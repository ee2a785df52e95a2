import type { NetworkWaitEvent } from "@quern/hub";
import { formatDuration } from "./duration.ts";

/** Seconds after which people wonder whether a program still works. */
const SHORT = 3;

/** Whether nothing comes for so long that people should know why. */
export function isLongWait({ elapsed, seconds }: NetworkWaitEvent): boolean {
  return elapsed + seconds >= SHORT;
}

/** "hf:org/name/model.safetensors: 429 Too Many Requests; attempt 2 of 7 in 42 s" */
export function describeWait({ file, reason, ...next }: NetworkWaitEvent): string {
  return `${file}: ${reason}; ${attempt(next)} in ${formatDuration(next.seconds * 1000)}`;
}

/** "attempt 2 of 7 in 42 s, after 429 Too Many Requests" @param milliseconds That are left. */
export function describeCountdown(event: NetworkWaitEvent, milliseconds: number): string {
  const seconds = Math.ceil(milliseconds / 1000);
  const time = seconds > 0 ? ` in ${formatDuration(seconds * 1000)},` : "";
  return `${attempt(event)}${time} after ${event.reason}`;
}

function attempt({ attempt, attempts }: Pick<NetworkWaitEvent, "attempt" | "attempts">): string {
  return `attempt ${attempt} of ${attempts}`;
}
