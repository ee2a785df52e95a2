/** Whether a path names something in the folder that it is relative to, on any system. */
export function isContainedPath(path: string): boolean {
  // Backslashes and colons part folders or drives on Windows; control characters are in no name that is meant well.
  // oxlint-disable-next-line no-control-regex
  if (/[\\:\x00-\x1f]/.test(path)) return false;
  return path.split("/").every((part) => part !== "" && part !== "." && part !== "..");
}
