import { baseModelMetadata, frontMatter, inheritedMetadata } from "../cards/front-matter.ts";
import { code, repositoryLink, section, table } from "../cards/markdown.ts";
import type { LayerResultFigures } from "./events.ts";
import type { CheckpointPlan } from "./plan.ts";

export interface ModelCardParams {
  readonly plan: Pick<
    CheckpointPlan,
    | "model"
    | "recipe"
    | "recipeName"
    | "kept"
    | "bitsPerWeight"
    | "fileSize"
    | "tool"
    | "baseModel"
    | "publishedAs"
  >;
  readonly layers: readonly LayerResultFigures[];
  /** The card of the model that was quantized: its licence and languages are those of this one. */
  readonly source?: string;
}

/** README.md of a quantized model: what it was made from and how, how to run it, and what rounding did to each layer. */
export function modelCard({ plan, layers, source }: ModelCardParams): string {
  const { model, recipeName, baseModel } = plan;
  const { name } = model.checkpoint;
  const title = baseModel ?? name;
  return `${[
    frontMatter({
      library_name: "transformers",
      ...baseModelMetadata(baseModel),
      tags: ["quantized"],
      ...inheritedMetadata(source, baseModel),
    }),
    `# ${title.split("/").at(-1)}, ${recipeName}`,
    `${baseModel === undefined ? title : repositoryLink(baseModel)}, quantized by ${plan.tool}.`,
    section("How it was made", settings(plan, layers)),
    section("How to run it", usage(layers, plan.publishedAs ?? ".")),
    section("Errors", errors(layers)),
  ].join("\n\n")}\n`;
}

function settings(
  { recipe, recipeName, kept, bitsPerWeight, fileSize }: ModelCardParams["plan"],
  layers: readonly LayerResultFigures[],
): string {
  const quantized = recipe.decisions.flatMap((decision) => (decision.keep === true ? [] : [decision]));
  const count = (names: readonly string[]): string =>
    [...new Set(names)]
      .map((name) => `${name} (${names.filter((other) => other === name).length})`)
      .join(", ");
  const rows = [
    ["Recipe", recipeName],
    [
      "Formats of layers",
      count(quantized.map(({ format, parameters }) => `${format}, ${parameters.bits} bits`)),
    ],
    ["Rounding", count(layers.map(({ rounding }) => rounding))],
    ["Transforms", recipe.transforms.map(({ name }) => name).join(", ") || "none"],
    ["Linear layers kept", kept.length === 0 ? "none" : String(kept.length)],
    ["Size", `${(fileSize / 1e6).toFixed(1)} MB, ${bitsPerWeight.toFixed(2)} bits per weight`],
  ];
  return table(["", ""], rows);
}

function usage(layers: readonly LayerResultFigures[], model: string): string {
  return layers.some(({ format }) => format === "mlx")
    ? code("sh", `mlx_lm.generate --model ${model} --prompt "Hello"`)
    : [
        code(
          "python",
          [
            "from transformers import AutoModelForCausalLM, AutoTokenizer",
            "",
            `tokenizer = AutoTokenizer.from_pretrained("${model}")`,
            `model = AutoModelForCausalLM.from_pretrained("${model}", device_map="auto")`,
            'inputs = tokenizer("Hello", return_tensors="pt").to(model.device)',
            "print(tokenizer.decode(model.generate(**inputs, max_new_tokens=64)[0]))",
          ].join("\n"),
        ),
        code("sh", `vllm serve ${model}`),
      ].join("\n\n");
}

function errors(layers: readonly LayerResultFigures[]): string {
  const measured = layers.some(({ outputError }) => outputError !== undefined);
  const compared = layers.some(({ outputError }) => outputError?.nearest !== undefined);
  const head = [
    "Layer",
    "Rounding",
    "Weights",
    ...(measured ? ["Outputs"] : []),
    ...(compared ? ["Outputs, rounded to nearest"] : []),
  ];
  const rows = layers.map(({ module, rounding, relativeError, outputError }) => [
    module,
    rounding,
    share(relativeError),
    ...(measured ? [share(kept(outputError, rounding))] : []),
    ...(compared ? [share(root(outputError?.nearest))] : []),
  ]);
  const meaning = measured
    ? "Relative errors (root of squared errors over squared values) of weights, and of outputs on inputs that were held out of calibration."
    : "Relative errors (root of squared errors over squared values) of weights.";
  return `${meaning}\n\n${table(head, rows)}`;
}

/** Of the rounding that was kept. */
function kept(error: LayerResultFigures["outputError"], rounding: string): number | undefined {
  return root(rounding === "nearest" ? (error?.nearest ?? error?.rounded) : error?.rounded);
}

function root(value: number | undefined): number | undefined {
  return value === undefined ? undefined : Math.sqrt(value);
}

function share(value: number | undefined): string {
  return value === undefined ? "" : `${(100 * value).toPrecision(3)} %`;
}
