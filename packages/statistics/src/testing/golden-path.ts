import { fileURLToPath } from "node:url";

/** Path of something in the golden set; fixtures/golden/README.md describes it. */
export function goldenPath(...path: string[]): string {
  return fileURLToPath(new URL(`../../../../fixtures/golden/${path.join("/")}`, import.meta.url));
}
