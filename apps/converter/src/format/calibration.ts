import type { CalibrationPlan, CalibrationReport } from "@quern/calibration";
import type { ModelSource } from "@quern/pipeline";
import { QuernError } from "@quern/tensor";
import { formatBytes } from "./bytes.ts";
import { formatDuration, formatEstimate } from "./duration.ts";
import { formatInteger, formatParameters } from "./number.ts";
import { networkFact } from "./network.ts";
import { printable } from "./printable.ts";
import type { Style } from "./style.ts";
import { formatFacts } from "./table.ts";

/** The plan in a few lines: model, texts, file, resources. */
export function formatCalibrationPlan(params: {
  readonly plan: CalibrationPlan;
  /** What the model is read from. */
  readonly source: ModelSource;
  /** Kernels that will run: "native avx2". */
  readonly kernels: string;
  readonly style: Style;
  /** Path of what is made of the statistics file, where that does not stay. */
  readonly result?: string;
}): string {
  const { plan, source, kernels, style, result } = params;
  const { model, windows, memory, estimate, output, fileSize, threads } = plan;
  const head = [
    style.bold(printable(model.name)),
    model.architecture,
    `${formatParameters(parametersOf(plan))} parameters`,
    `${model.graph.blocks.length} blocks`,
  ].join(" · ");
  const stateNote =
    plan.temporaryBytes === 0 ? "" : `, ${formatBytes(plan.temporaryBytes)} more while it is made`;
  const facts = formatFacts({
    facts: [
      ["tokens", tokensText(plan)],
      ["texts", windows.calibration.summary.sources.map(({ name }) => printable(name)).join(", ")],
      [
        "file",
        result === undefined
          ? `${printable(output)} (${formatBytes(fileSize)}${stateNote})`
          : `${printable(result)} (${formatBytes(fileSize + plan.temporaryBytes)} on disk while it is made)`,
      ],
      ...networkFact(plan.networkBytes, source.location, plan.networkBytesLeft),
      ["hessians", hessiansText(plan)],
      ...keptFacts(plan),
      ["time", estimatedTime(plan)],
      ...(plan.resumes ? [["goes on", "with what an interrupted run has left"] as const] : []),
      ["threads", threads === 0 ? "the main thread" : String(threads)],
      [
        "memory",
        `about ${formatBytes(estimate.peakMemory)} (buffers: ${formatBytes(memory.used)} of ${formatBytes(memory.budget)})`,
      ],
      ["kernels", kernels],
    ],
    style,
    indent: 2,
  });
  return `${head}\n\n${facts}`;
}

/** What a calibration made, for the end of the run. */
export function formatCalibrationReport(params: {
  readonly report: CalibrationReport;
  /** Highest resident memory of the process, in bytes. */
  readonly peakMemory: number;
  readonly style: Style;
}): string {
  const { report, peakMemory, style } = params;
  const { path, bytes, tokens, blocks, resumed, seconds, tokensPerSecond, kernels, threads } = report;
  const done = resumed === 0 ? "" : `; ${resumed} of ${blocks} blocks were done before`;
  return formatFacts({
    facts: [
      ["file", `${printable(path)} (${formatBytes(bytes)})`],
      ["tokens", `${formatInteger(tokens)} through ${blocks} blocks${done}`],
      ["time", `${formatDuration(seconds * 1000)} (${rateText(tokensPerSecond)})`],
      ["memory", `${formatBytes(peakMemory)} at most`],
      ["kernels", `${kernels}, ${threads === 0 ? "the main thread" : `threads: ${threads}`}`],
    ],
    style,
  });
}

/** Says which layers have experts that hardly any token came to. */
export function rareExpertWarnings({ rareExperts }: CalibrationReport): QuernError[] {
  return rareExperts.map(
    ({ input, experts, unseen, few }) =>
      new QuernError(
        "CALIBRATION_RARE_EXPERTS",
        `${few} of the ${experts} experts of ${input} saw fewer tokens than they have inputs` +
          (unseen === 0 ? "" : `, ${unseen} of them none at all`),
        { subject: { tensor: input } },
      ),
  );
}

function parametersOf({ model }: CalibrationPlan): number {
  let sum = 0;
  for (const { shape } of model.tensors.values()) sum += shape.reduce((product, size) => product * size, 1);
  return sum;
}

function tokensText({ windows, tokens }: CalibrationPlan): string {
  const { rule, calibration, holdOut } = windows;
  const count = calibration.windows.length;
  const windowsText = count === 1 ? "window" : "windows";
  const used = `${formatInteger(calibration.summary.tokens)} in ${formatInteger(count)} ${windowsText} of ${formatInteger(rule.length)}`;
  if (holdOut === undefined) return used;
  return `${used}, and ${formatInteger(tokens - calibration.summary.tokens)} in ${formatInteger(holdOut.windows.length)} kept apart`;
}

function keptFacts({ kept }: CalibrationPlan): (readonly [string, string])[] {
  if (kept.windows === 0) return [];
  const windows = `${formatInteger(kept.windows)} ${kept.windows === 1 ? "window" : "windows"}`;
  return [["windows", `inputs of attention in ${windows} stored whole, ${formatBytes(kept.bytes)}`]];
}

function hessiansText({ stages, memory }: CalibrationPlan): string {
  if (memory.hessians === undefined) return "not collected";
  const passes = Math.max(...stages.map((stage) => stage.passes.length));
  return passes === 1 ? "in one pass" : `in ${passes} passes through each block: more memory would save time`;
}

function estimatedTime({ estimate }: CalibrationPlan): string {
  const { seconds, operations } = estimate;
  const tera = (operations.linear + operations.attention + operations.hessians) / 1e12;
  return `${formatEstimate(seconds)} (${tera < 10 ? tera.toPrecision(2) : formatInteger(Math.round(tera))} TFLOP)`;
}

function rateText(tokensPerSecond: number): string {
  return `${formatInteger(Math.round(tokensPerSecond))} tokens per second through the whole model`;
}
