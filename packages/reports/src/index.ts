export { ReportFormatError } from "./check.ts";
export type {
  ConversionRecord,
  ErrorRecord,
  OutputError,
  OutputRecord,
  RoundingRecord,
  TensorRecord,
} from "./conversion.ts";
export { addSums, errorRecord } from "./error-record.ts";
export type { MeasuredSums } from "./error-record.ts";
export type {
  ComparisonRecord,
  DomainRecord,
  Estimate,
  EvaluatedModelRecord,
  EvaluationRecord,
  Histogram,
  Percentile,
} from "./evaluation.ts";
export { reportPage } from "./page.ts";
export { readReport } from "./read-report.ts";
export { reportJson } from "./report.ts";
export type { Report, ReportContents } from "./report.ts";
export { tensorPlace } from "./tensor-place.ts";
