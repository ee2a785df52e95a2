import type { BlockRounding, ConversionPlan, PlannedOutput, PlannedTensor } from "@quern/pipeline";
import type { SequentialPlan } from "@quern/calibration";
import { formatBytes } from "./bytes.ts";
import { formatEstimate } from "./duration.ts";
import { formatInteger, formatParameters } from "./number.ts";
import { formatOutputs } from "./outputs.ts";
import { networkFact } from "./network.ts";
import { printable } from "./printable.ts";
import { describeRun } from "./run-along.ts";
import { sourceType, sourceTypes } from "./source-types.ts";
import type { Style } from "./style.ts";
import { formatFacts, formatTable } from "./table.ts";

/** The plan in a few lines: model, outputs, resources. */
export function formatPlanSummary(params: {
  readonly plan: ConversionPlan;
  /** Kernels that will run: "native avx2". */
  readonly kernels: string;
  /** Of a run that goes along. */
  readonly sequential?: SequentialPlan;
  readonly style: Style;
}): string {
  const { plan, kernels, sequential, style } = params;
  const { checkpoint, resources } = plan;
  const head = [
    style.bold(printable(checkpoint.name)),
    plan.architecture,
    `${formatParameters(plan.parameters)} parameters`,
    `${formatInteger(plan.tensors.length)} tensors`,
    `${formatBytes(plan.sourceBytes)} of weights (${sourceTypes(plan).join(", ")})`,
  ].join(" · ");
  const outputs = formatOutputs({
    outputs: plan.outputs.map(({ type, fileSize, bitsPerWeight, files }) => ({
      type,
      bytes: fileSize,
      bitsPerWeight,
      files: files.map(({ path, fileSize: bytes, replaces }) => ({
        path,
        bytes,
        ...(replaces ? { note: "replaces the file there" } : {}),
      })),
    })),
    sourceBytes: plan.sourceBytes,
    style,
    indent: 2,
  });
  const facts = formatFacts({
    facts: [
      ["time", formatEstimate(resources.seconds)],
      ...(plan.resumes ? [["goes on", "with what an interrupted run has left"] as const] : []),
      ["threads", resources.threads === 0 ? "the main thread" : String(resources.threads)],
      [
        "memory",
        `about ${formatBytes(resources.peakMemory)} (budget for buffers: ${formatBytes(resources.memory)})`,
      ],
      ["kernels", kernels],
      ...networkFact(plan.networkBytes, checkpoint.location, plan.networkBytesLeft),
      ...(plan.importance === undefined ? [] : [["imatrix", printable(plan.importance.file)] as const]),
      ...(plan.rounding === undefined ? [] : [["rounding", describeRounding(plan.rounding)] as const]),
      ...(sequential === undefined ? [] : [["inputs", describeRun(sequential)] as const]),
    ],
    style,
    indent: 2,
  });
  return `${head}\n\n${outputs}\n${facts}`;
}

/** "gptq for 28 tensors, group by group (36.7 MB at a time)" */
function describeRounding({ name, tensors, stages, inputs }: BlockRounding): string {
  const most = stages.reduce(
    (bytes, { groups }) => groups.reduce((largest, group) => Math.max(largest, group.bytes), bytes),
    0,
  );
  const along = inputs.follows ? ", along with the model" : "";
  return `${name} for ${formatInteger(tensors)} tensors, group by group (up to ${formatBytes(most)} each)${along}`;
}

/** Every tensor of every output: where it comes from, what becomes of it, and why it does not get the type asked for. */
export function formatPlanTensors(params: { readonly plan: ConversionPlan; readonly style: Style }): string {
  const { plan, style } = params;
  const sources = new Map(plan.tensors.map((tensor) => [tensor.name, sourceType(tensor)]));
  const bySource = plan.outputs.map(
    (output) => new Map(output.tensors.map((tensor) => [tensor.source, tensor] as const)),
  );
  const order = plan.outputs[0]!.tensors;
  return formatTable({
    columns: [
      { title: "Tensor" },
      { title: "Shape", align: "right" },
      { title: "From" },
      ...plan.outputs.flatMap(
        (output) => [{ title: output.type }, { title: "Bytes", align: "right" }] as const,
      ),
      { title: "Note" },
    ],
    rows: order.map(({ name, source, ne }) => {
      const planned = bySource.map((tensors) => tensors.get(source)!);
      return [
        printable(name),
        ne.join(" x "),
        sources.get(source)!,
        ...planned.flatMap(({ type, size }) => [type, formatInteger(size)]),
        notes(plan.outputs, planned),
      ];
    }),
    style,
    indent: 2,
  });
}

function notes(outputs: readonly PlannedOutput[], planned: readonly PlannedTensor[]): string {
  return planned
    .flatMap(({ name, source, fallback, via, requantized, usesImportance, rounding }, index) => {
      const parts = [
        ...(source === name ? [] : [`was ${printable(source)}`]),
        ...(requantized ? ["quantized again"] : []),
        ...(fallback === undefined ? [] : [`instead of ${fallback.from}: ${fallback.reason}`]),
        ...(via === undefined ? [] : [`by way of ${via}`]),
        ...(usesImportance ? ["imatrix"] : []),
        ...(rounding === undefined ? [] : [rounding]),
      ];
      if (parts.length === 0) {
        return [];
      }
      return [(outputs.length === 1 ? "" : `${outputs[index]!.type}: `) + parts.join(", ")];
    })
    .join("; ");
}
