import type { ConversionRecord } from "./conversion.ts";
import type { EvaluationRecord } from "./evaluation.ts";

/** What a page is made of: a conversion, an evaluation of its result, or both. */
export interface ReportContents {
  readonly conversion?: ConversionRecord;
  readonly evaluation?: EvaluationRecord;
  /** What else there is to know of what was made, for programs: pages show nothing of it, and readers leave it out. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** The JSON beside a page. Members may be added within a version; a change of what is there is another version. */
export interface Report extends ReportContents {
  readonly format: "quern-report";
  readonly version: 1;
}

/** The text of the JSON file: the same contents give the same text. */
export function reportJson({ conversion, evaluation, details }: ReportContents): string {
  const report: Report = {
    format: "quern-report",
    version: 1,
    ...(conversion === undefined ? {} : { conversion }),
    ...(evaluation === undefined ? {} : { evaluation }),
    ...(details === undefined ? {} : { details }),
  };
  return `${JSON.stringify(report, undefined, 1)}\n`;
}
