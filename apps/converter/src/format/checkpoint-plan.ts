import type { SequentialPlan } from "@quern/calibration";
import { LOADERS, modelCompatibility } from "@quern/checkpoints";
import type { CheckpointPlan, PlannedLinear } from "@quern/pipeline/layers";
import type { QuantizationRecipe } from "@quern/recipes";
import type { Statistics } from "@quern/statistics";
import { formatBytes } from "./bytes.ts";
import { networkFact } from "./network.ts";
import { formatInteger, formatParameters, formatRatio } from "./number.ts";
import { printable } from "./printable.ts";
import { describeRun } from "./run-along.ts";
import type { Style } from "./style.ts";
import { formatFacts, formatTable } from "./table.ts";

/** The plan in a few lines: model, recipe, folder, resources. */
export function formatCheckpointPlan(params: {
  readonly plan: CheckpointPlan;
  readonly recipe: QuantizationRecipe;
  readonly statistics: Statistics | undefined;
  readonly sequential?: SequentialPlan | undefined;
  readonly style: Style;
}): string {
  const { plan, recipe, statistics, sequential, style } = params;
  const { model, resources, kernels, fileSize, sourceBytes, bitsPerWeight } = plan;
  const layers = layersOf(plan);
  const head = [
    style.bold(printable(model.checkpoint.name)),
    model.description.architecture,
    `${formatParameters(plan.parameters)} parameters`,
    `${formatInteger(model.tensors.size)} tensors`,
    `${formatBytes(sourceBytes)} of weights`,
  ].join(" · ");
  const kept = plan.kept.length === 0 ? "" : `, ${formatInteger(plan.kept.length)} kept as they are`;
  const facts = formatFacts({
    facts: [
      ["recipe", printable([recipe.name, recipe.description].filter((text) => text !== "").join(": "))],
      [
        "folder",
        `${printable(plan.folder)}${plan.replaces ? " (replaces the one there)" : ""}, ${formatBytes(fileSize)} ` +
          `(${formatRatio(fileSize, sourceBytes)} of the source, ${bitsPerWeight.toFixed(2)} bits per weight)`,
      ],
      ["layers", `${formatInteger(layers.length)} quantized${kept}`],
      ...transformFacts(plan),
      ["loaded by", loadersText(plan)],
      ...(statistics === undefined || plan.inputs === undefined
        ? []
        : [["statistics", printable(statistics.file)] as const]),
      ...(sequential === undefined ? [] : [["inputs", describeRun(sequential)] as const]),
      ...(plan.resumes ? [["goes on", "with what an interrupted run has left"] as const] : []),
      ["threads", resources.threads === 0 ? "the main thread" : String(resources.threads)],
      [
        "memory",
        `about ${formatBytes(resources.peakMemory)} (budget: ${formatBytes(resources.memory)}, at least ${formatBytes(resources.leastMemory)})`,
      ],
      ["kernels", `${kernels.backend} ${kernels.isa}`],
      ...networkFact(plan.networkBytes, model.checkpoint.location, plan.networkBytesLeft),
    ],
    style,
    indent: 2,
  });
  return `${head}\n\n${facts}`;
}

/** What becomes of linear layers: a line for those that are alike, and for those that are kept. */
export function formatPlannedLayers(params: {
  readonly plan: CheckpointPlan;
  readonly style: Style;
}): string {
  const { plan, style } = params;
  const alike = new Map<string, { count: number; row: readonly [string, string, string, string] }>();
  for (const { linear, decision } of layersOf(plan)) {
    const row = [
      linear.role,
      `${linear.rows} x ${linear.columns}`,
      storageText(decision),
      roundingText(decision),
    ] as const;
    const key = JSON.stringify(row);
    alike.set(key, { count: (alike.get(key)?.count ?? 0) + 1, row });
  }
  const roles = new Map(plan.model.linears.map((linear) => [linear.module, linear]));
  const kept = plan.kept.map((module) => {
    const linear = roles.get(module)!;
    return [printable(module), "1", `${linear.rows} x ${linear.columns}`, "as it is", ""];
  });
  return formatTable({
    columns: [
      { title: "Layers" },
      { title: "Count", align: "right" },
      { title: "Shape", align: "right" },
      { title: "Stored as" },
      { title: "Rounded by" },
    ],
    rows: [
      ...[...alike.values()].map(({ count, row: [role, ...rest] }) => [role, formatInteger(count), ...rest]),
      ...kept,
    ],
    style,
    indent: 2,
  });
}

function layersOf({ stages }: CheckpointPlan): PlannedLinear[] {
  return stages.flatMap(({ groups }) => groups.flatMap(({ layers }) => layers));
}

/** What is done to weights before they are rounded, and how it is made sure that this changes nothing. */
function transformFacts({ recipe, foldings, checks, untied }: CheckpointPlan): (readonly [string, string])[] {
  if (recipe.transforms.length === 0) return [];
  const names = recipe.transforms.map(({ name }) => name).join(", ");
  const places = foldings.length === 0 ? "" : `, folded in at ${formatInteger(foldings.length)} places`;
  return [
    [
      "transforms",
      `${names}${places}${untied === undefined ? "" : ", with an output layer apart from the embedding"}; ` +
        `${formatInteger(checks.length)} blocks are compared with what they computed before`,
    ],
  ];
}

/** "pack-quantized, 4 bits, groups of 128" */
function storageText({ format, parameters }: PlannedLinear["decision"]): string {
  const { bits, tile, symmetric, activations } = parameters;
  const groups =
    tile.rows === "all"
      ? "one scale"
      : tile.columns === "all"
        ? "a scale for each output"
        : tile.rows === 1
          ? `groups of ${tile.columns}`
          : `blocks of ${tile.rows} x ${tile.columns}`;
  return [
    format,
    `${bits} bits`,
    groups,
    ...(symmetric ? [] : ["asymmetric"]),
    ...(activations === undefined ? [] : [`inputs ${activations}`]),
  ].join(", ");
}

function roundingText({ treatment, guard }: PlannedLinear["decision"]): string {
  const { rounding, calibrator, searchInHessian } = treatment;
  return [
    rounding.name,
    ...(calibrator === undefined ? [] : [`${calibrator.name}${searchInHessian ? " of outputs" : ""}`]),
    ...(guard ? ["or nearest, if better"] : []),
  ].join(", ");
}

function loadersText(plan: CheckpointPlan): string {
  const layers = layersOf(plan).map(
    ({ linear: { module, rows, columns, expert }, decision: { format, parameters } }) => ({
      module,
      format,
      parameters,
      shape: { rows, columns },
      expert,
    }),
  );
  const linears = plan.model.linears.map(({ module }) => module);
  const able = LOADERS.filter((loader) => modelCompatibility({ layers, linears, loader }).length === 0);
  return able.length === 0 ? "nothing that is known" : able.join(", ");
}
