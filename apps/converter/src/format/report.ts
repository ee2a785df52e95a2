import type { ConversionPlan, ConversionProfile, ConversionReport } from "@quern/pipeline";
import { formatBytes } from "./bytes.ts";
import { formatDuration } from "./duration.ts";
import { formatOutputs } from "./outputs.ts";
import { formatRequantization } from "./requantization.ts";
import { printable } from "./printable.ts";
import type { Style } from "./style.ts";
import { formatFacts } from "./table.ts";

/** What a conversion made, for the end of the run. */
export function formatReport(params: {
  readonly plan: ConversionPlan;
  readonly report: ConversionReport;
  /** Files of the report to look at; none when nobody asked for it. */
  readonly reportFiles: readonly string[];
  /** Those that were written. */
  readonly manifests?: readonly string[];
  /** Highest resident memory of the process, in bytes. */
  readonly peakMemory: number;
  readonly style: Style;
}): string {
  const { plan, report, reportFiles, manifests = [], peakMemory, style } = params;
  const outputs = formatOutputs({
    outputs: report.outputs.map((output, index) => ({
      ...output,
      bitsPerWeight: plan.outputs[index]!.bitsPerWeight,
    })),
    sourceBytes: report.sourceBytes,
    style,
  });
  const facts = formatFacts({
    facts: [
      ["time", `${formatDuration(report.seconds * 1000)} (${speed(report)})`],
      ["memory", `${formatBytes(peakMemory)} at most`],
      ["kernels", report.kernels],
      // Those of other machines are not ours to watch.
      ...(report.profile.threads === 0 ? [] : [["threads", threadTime(report.profile)] as const]),
      ...roundingFacts(report),
      ...manifests.map((path) => ["manifest", printable(path)] as const),
      ...(reportFiles.length === 0 ? [] : [["report", reportFiles.map(printable).join(", ")] as const]),
    ],
    style,
  });
  return `${outputs}\n${formatRequantization({ outputs: report.outputs, style })}${facts}`;
}

/** "12.3 s for 28 tensors by gptq; errors of outputs 5.21 % instead of 8.88 % on inputs held out" */
function roundingFacts({ outputs, profile }: ConversionReport): [name: string, text: string][] {
  const tensors = outputs.flatMap(({ errors = [] }) => errors.flatMap(({ rounding }) => rounding ?? []));
  if (tensors.length === 0) return [];
  const compared = tensors.flatMap(({ outputError }) => outputError ?? []);
  const mean = (of: (error: (typeof compared)[number]) => number): string => {
    const sum = compared.reduce((all, error) => all + Math.sqrt(of(error)), 0);
    return `${((100 * sum) / compared.length).toPrecision(3)} %`;
  };
  const gained =
    compared.length === 0
      ? ""
      : `; outputs are off by ${mean(({ kept }) => kept)} instead of ${mean(({ plain }) => plain)} (mean over tensors, on inputs held out)`;
  const plain = tensors.filter(({ kept, matrices }) => kept < matrices).length;
  const others = plain === 0 ? "" : `; ${plain} not, or not all of it, as that was no better`;
  const [{ name }] = tensors as [(typeof tensors)[0]];
  return [
    [
      "rounding",
      `${tensors.length} tensors by ${name} in ${formatDuration(profile.rounding * 1000)}${others}${gained}`,
    ],
  ];
}

/** "2: 93% quantizing, 2% rearranging, 3% waiting, 2% other" */
function threadTime({ threads, quantize, measure, convert, idle, other }: ConversionProfile): string {
  const total = Math.max(quantize + measure + convert + idle + other, Number.MIN_VALUE);
  const share = (seconds: number): string => `${Math.round((100 * seconds) / total)}%`;
  const measured = measure === 0 ? "" : `${share(measure)} measuring errors, `;
  return `${threads}: ${share(quantize)} quantizing, ${measured}${share(convert)} rearranging, ${share(idle)} waiting, ${share(other)} other`;
}

function speed({ sourceBytes, seconds }: ConversionReport): string {
  return `${formatBytes(Math.round(sourceBytes / Math.max(seconds, 0.001)))} of weights per second`;
}
