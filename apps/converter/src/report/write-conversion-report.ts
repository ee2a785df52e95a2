import type { ConversionPlan, ConversionReport } from "@quern/pipeline";
import type { RunOptions } from "../commands/run-conversion.ts";
import { conversionRecord } from "./conversion-record.ts";
import { conversionSettings } from "./conversion-settings.ts";
import type { ReportTarget } from "./report-target.ts";
import { writeReport } from "./write-report.ts";

/**
 * Writes the report of a conversion whose errors were measured.
 *
 * @throws QuernError `OUTPUT_*`
 */
export async function writeConversionReport(params: {
  readonly plan: ConversionPlan;
  readonly report: ConversionReport;
  readonly options: RunOptions;
  readonly target: ReportTarget;
}): Promise<void> {
  const { plan, report, options, target } = params;
  const conversion = conversionRecord({ plan, report, settings: conversionSettings(options) });
  await writeReport({ contents: { conversion }, target, force: plan.force });
}
