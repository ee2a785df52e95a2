import { readFile, stat } from "node:fs/promises";
import { readReport, type ReportContents, ReportFormatError } from "@quern/reports";
import { QuernError } from "@quern/tensor";

/** A report of a thousand tensors in ten outputs takes some megabytes. */
const LARGEST_FILE = 256 * 2 ** 20;

/**
 * Reads the JSON of a report or an evaluation.
 *
 * @throws QuernError `REPORT_NOT_FOUND`, `REPORT_TOO_LARGE`, `REPORT_FORMAT`
 */
export async function readReportFile(path: string): Promise<ReportContents> {
  const fail = (code: string, problem: string, cause?: unknown): QuernError =>
    new QuernError(code, `${path}: ${problem}`, { subject: { file: path }, cause });
  let text;
  try {
    const { size } = await stat(path);
    if (size > LARGEST_FILE) {
      throw fail("REPORT_TOO_LARGE", `${size} bytes are no report: expected at most ${LARGEST_FILE}`);
    }
    text = await readFile(path, "utf8");
  } catch (cause) {
    if (cause instanceof QuernError) throw cause;
    throw fail("REPORT_NOT_FOUND", `cannot be read: ${(cause as Error).message}`, cause);
  }
  try {
    return readReport(JSON.parse(text));
  } catch (cause) {
    if (cause instanceof ReportFormatError) throw fail(cause.code, cause.message, cause);
    throw fail("REPORT_FORMAT", `is no JSON: ${(cause as Error).message}`, cause);
  }
}
