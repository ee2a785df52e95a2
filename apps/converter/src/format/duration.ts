/** A span of time for people: "85 ms", "3.2 s", "5 s", "47 s", "4 min 05 s", "2 h 07 min". */
export function formatDuration(milliseconds: number): string {
  if (milliseconds < 999.5) {
    return `${Math.max(0, Math.round(milliseconds))} ms`;
  }
  if (milliseconds < 9950) {
    return `${Math.round(milliseconds / 100) / 10} s`;
  }
  const seconds = Math.round(milliseconds / 1000);
  if (seconds < 60) {
    return `${seconds} s`;
  }
  if (seconds < 3600) {
    return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, "0")} s`;
  }
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

/** How long work is going to take. Below a second, starting threads takes longer than the work: a figure would pretend to know. */
export function formatEstimate(seconds: number): string {
  return seconds < 1 ? "about a second or less" : `about ${formatDuration(Math.round(seconds) * 1000)}`;
}
