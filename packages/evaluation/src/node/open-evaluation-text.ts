import { fileURLToPath } from "node:url";
import { openTextFiles, type OpenTextFiles } from "@quern/corpus/node";

/** See default-text/README.md. */
const FILES = ["prose.txt", "reference.txt", "code.txt"];

/**
 * Opens the default evaluation text, of which nothing is in the default calibration text.
 *
 * @throws QuernError `SOURCE_*`
 */
export function openEvaluationText(): Promise<OpenTextFiles> {
  const pathOf = (name: string): string =>
    fileURLToPath(new URL(`../../default-text/${name}`, import.meta.url));
  return openTextFiles({ files: FILES.map((name) => ({ path: pathOf(name), weight: 1 })) });
}
