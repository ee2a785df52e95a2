import { extname, resolve } from "node:path";
import { QuernError } from "@quern/tensor";

/** Files of a report. */
export interface ReportTarget {
  /** HTML; absent where only figures are wanted. */
  readonly page?: string;
  readonly json: string;
}

/**
 * What `--report <file>` stands for: `out.html` is a page, with its figures in `out.json` beside it; `out.json` are figures alone.
 *
 * @throws QuernError `USAGE_REPORT` for other names
 */
export function reportTarget(path: string, cwd: string): ReportTarget {
  const extension = extname(path).toLowerCase();
  const whole = resolve(cwd, path);
  if (extension === ".json") {
    return { json: whole };
  }
  if (extension === ".html" || extension === ".htm") {
    return { page: whole, json: `${whole.slice(0, -extension.length)}.json` };
  }
  throw new QuernError(
    "USAGE_REPORT",
    `${path}: a report ends in .html (a page, and .json beside it) or in .json (figures alone).`,
    { subject: { file: path } },
  );
}

/** Paths of all files of a report, for the checks of a plan. */
export function reportPaths({ page, json }: ReportTarget): string[] {
  return page === undefined ? [json] : [page, json];
}
