import type {
  CheckpointPlan,
  CheckpointReport,
  LayerResultFigures,
  PlannedLinear,
} from "@quern/pipeline/layers";
import type { QuantizationRecipe } from "@quern/recipes";
import {
  addSums,
  type ConversionRecord,
  errorRecord,
  type MeasuredSums,
  type ReportContents,
  type TensorRecord,
  tensorPlace,
} from "@quern/reports";
import { byteSize } from "@quern/tensor";
import { tool } from "../version.ts";

interface WrittenCheckpoint {
  readonly plan: CheckpointPlan;
  readonly recipe: QuantizationRecipe;
  readonly report: CheckpointReport;
}

/** What a report says of a quantized checkpoint. Holds no time and no place, so that the same conversion has the same record anywhere. */
export function checkpointContents(written: WrittenCheckpoint): ReportContents {
  return { conversion: conversionOf(written), details: detailsOf(written) };
}

function detailsOf({ plan, recipe, report }: WrittenCheckpoint): Record<string, unknown> {
  return {
    recipe,
    files: report.files,
    bytes: report.bytes,
    layers: report.layers,
    kept: plan.kept,
    warnings: report.warnings.map(({ code, message }) => ({ code, message })),
  };
}

function conversionOf({ plan, recipe, report }: WrittenCheckpoint): ConversionRecord {
  const sums = report.layers.map(sumsOf);
  return {
    tool,
    model: plan.model.checkpoint.name,
    architecture: plan.model.description.architecture,
    parameters: plan.parameters,
    sourceBytes: plan.sourceBytes,
    sourceTypes: sourceTypes(plan),
    settings: settingsOf(recipe),
    outputs: [
      {
        type: recipe.name,
        files: plan.checkpoint.shards.shards.map(({ fileName: name, layout }) => ({
          name,
          bytes: layout.fileSize,
        })),
        bytes: plan.fileSize,
        bitsPerWeight: plan.bitsPerWeight,
        tensors: tensorsOf(plan, report),
        ...(sums.length === 0 ? {} : { errors: errorRecord(addSums(sums)!) }),
      },
    ],
  };
}

/** Errors of outputs are known as shares of squared outputs: layers count alike. */
function sumsOf({
  elements,
  squaredErrors,
  squaredWeights,
  outputError,
  rounding,
}: LayerResultFigures): MeasuredSums {
  const error =
    rounding === "nearest" ? (outputError?.nearest ?? outputError?.rounded) : outputError?.rounded;
  return {
    elements,
    squaredErrors,
    squaredWeights,
    ...(error === undefined ? {} : { heldOut: { squaredErrors: error, squaredWeights: 1 } }),
  };
}

function tensorsOf(plan: CheckpointPlan, report: CheckpointReport): TensorRecord[] {
  const { model, stages, copies, checkpoint } = plan;
  const sizes = new Map(
    checkpoint.shards.shards.flatMap(({ layout }) =>
      [...layout.tensors].map(([name, { size }]) => [name, size] as const),
    ),
  );
  const planned = stages.flatMap(({ groups }) => groups.flatMap(({ layers }) => layers));
  const layers = report.layers.map((result, index): TensorRecord => {
    const { linear, decision, targets } = planned[index]!;
    return {
      name: `${linear.module}.weight`,
      ...placeOf(linear),
      shape: [linear.columns, linear.rows],
      from: linear.type,
      type: `${decision.format}, ${decision.parameters.bits} bits`,
      bytes: [...targets.keys()].reduce((sum, suffix) => sum + sizes.get(`${linear.module}${suffix}`)!, 0),
      requantized: model.tensors.get(`${linear.module}.weight`)!.quantized,
      errors: errorRecord(sumsOf(result)),
    };
  });
  const others = copies.map(({ weights: { tensor }, type }): TensorRecord => {
    const { info } = model.tensors.get(tensor)!;
    return {
      name: tensor,
      role: tensor.replace(/\.weight$/, ""),
      shape: [...info.shape].reverse(),
      from: info.type,
      type,
      bytes: byteSize({ type, shape: info.shape }),
      requantized: false,
    };
  });
  return [...layers, ...others];
}

/** The same as of GGUF files, where it is known which of its modules the layer becomes. */
function placeOf({ block, role, inputs }: PlannedLinear["linear"]): Pick<TensorRecord, "layer" | "role"> {
  const layer = block === undefined ? {} : { layer: block };
  return { ...layer, role: inputs === undefined ? role : tensorPlace(`${inputs.module}.weight`).role };
}

/** Types of the weights that are read, the one with most bytes first. */
function sourceTypes({ model }: CheckpointPlan): string[] {
  const bytes = new Map<string, number>();
  for (const info of model.checkpoint.tensors.values()) {
    bytes.set(info.type, (bytes.get(info.type) ?? 0) + byteSize(info));
  }
  return [...bytes].sort(([, a], [, b]) => b - a).map(([type]) => type);
}

function settingsOf(recipe: QuantizationRecipe): ConversionRecord["settings"] {
  const { name, description, rounding, calibrator, searchInHessian, transforms = [], rules = [] } = recipe;
  const values: readonly (readonly [name: string, value: string | undefined])[] = [
    ["Recipe", [name, description].filter((text) => text !== "").join(": ")],
    ["Parameters", wordsOf({ format: recipe.format, ...recipe.parameters })],
    ["Transforms", transforms.length === 0 ? undefined : transforms.map(memberText).join(", then ")],
    ["Rounding", memberText(rounding)],
    [
      "Ranges",
      calibrator && `${memberText(calibrator)}${searchInHessian === true ? ", by errors of outputs" : ""}`,
    ],
    ["Rules", rules.length === 0 ? undefined : JSON.stringify(rules)],
  ];
  return values.flatMap(([key, value]) => (value === undefined ? [] : { name: key, value }));
}

function memberText({ name, options = {} }: QuantizationRecipe["rounding"]): string {
  const words = wordsOf(options);
  return words === "" ? name : `${name} (${words})`;
}

function wordsOf(values: object): string {
  return Object.entries(values)
    .map(([key, value]) => `${key} ${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(", ");
}
