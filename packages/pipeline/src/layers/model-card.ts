import { formatOf } from "@quern/checkpoints";
import { frontMatter, quantizedMetadata, taskOf } from "../cards/front-matter.ts";
import { code, commitLink, details, repositoryLink, section, table } from "../cards/markdown.ts";
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
    | "origin"
    | "baseModel"
    | "publishedAs"
    | "loadedBy"
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
    frontMatter(
      quantizedMetadata({
        baseModel,
        card: source,
        task: taskOf(model.config),
        library: isMlx(plan) ? "mlx" : "transformers",
        tags: tagsOf(plan),
      }),
    ),
    `# ${title.split("/").at(-1)}, ${recipeName}`,
    `${baseModel === undefined ? title : repositoryLink(baseModel)}, quantized by ${plan.tool}.`,
    section("How it was made", settings(plan, layers)),
    section("How to run it", usage(plan)),
    section("Errors", errors(layers)),
  ].join("\n\n")}\n`;
}

type Plan = ModelCardParams["plan"];

function quantizedLayers({ recipe }: Plan): readonly { method: string; bits: number }[] {
  return recipe.decisions.flatMap((decision) =>
    decision.keep === true
      ? []
      : [{ method: formatOf(decision.format).method, bits: decision.parameters.bits }],
  );
}

function isMlx(plan: Plan): boolean {
  return quantizedLayers(plan).some(({ method }) => method === "mlx");
}

/** By method and bits, as the Hub has them in its filters. */
function tagsOf(plan: Plan): string[] {
  const layers = quantizedLayers(plan);
  const bits = new Set(layers.map((layer) => layer.bits));
  return [
    ...new Set(layers.map(({ method }) => method)),
    ...(bits.size === 1 ? [`${[...bits][0]}-bit`] : []),
    "quantized",
  ];
}

function settings(
  { origin, recipe, recipeName, kept, bitsPerWeight, fileSize }: ModelCardParams["plan"],
  layers: readonly LayerResultFigures[],
): string {
  const quantized = recipe.decisions.flatMap((decision) => (decision.keep === true ? [] : [decision]));
  const count = (names: readonly string[]): string =>
    [...new Set(names)]
      .map((name) => `${name} (${names.filter((other) => other === name).length})`)
      .join(", ");
  const { repository, commit } = origin?.source ?? {};
  const statistics = origin?.calibration?.file;
  const rows = [
    ...(repository === undefined || commit === undefined ? [] : [["Source", commitLink(repository, commit)]]),
    ["Recipe", recipeName],
    [
      "Formats of layers",
      count(quantized.map(({ format, parameters }) => `${format}, ${parameters.bits} bits`)),
    ],
    ["Rounding", count(layers.map(({ rounding }) => rounding))],
    ...(statistics === undefined ? [] : [["Statistics", `\`${statistics}\``]]),
    ["Transforms", recipe.transforms.map(({ name }) => name).join(", ") || "none"],
    ["Linear layers kept", kept.length === 0 ? "none" : String(kept.length)],
    ["Size", `${(fileSize / 1e6).toFixed(1)} MB, ${bitsPerWeight.toFixed(2)} bits per weight`],
  ];
  return table(["", ""], rows);
}

/** Programs that are asked to run it, by what loads it. */
const WAYS: readonly {
  readonly loader: Plan["loadedBy"][number];
  readonly title: string;
  readonly language: string;
  readonly lines: (model: string) => readonly string[];
}[] = [
  {
    loader: "transformers",
    title: "transformers",
    language: "python",
    lines: (model) => [
      "from transformers import AutoModelForCausalLM, AutoTokenizer",
      "",
      `tokenizer = AutoTokenizer.from_pretrained("${model}")`,
      `model = AutoModelForCausalLM.from_pretrained("${model}", device_map="auto")`,
      'inputs = tokenizer("Hello", return_tensors="pt").to(model.device)',
      "print(tokenizer.decode(model.generate(**inputs, max_new_tokens=64)[0]))",
    ],
  },
  { loader: "vllm", title: "vLLM", language: "sh", lines: (model) => [`vllm serve ${model}`] },
  {
    loader: "sglang",
    title: "SGLang",
    language: "sh",
    lines: (model) => [`python3 -m sglang.launch_server --model-path ${model}`],
  },
  {
    loader: "mlx",
    title: "mlx-lm, on Apple silicon",
    language: "sh",
    lines: (model) => ["pip install mlx-lm", `mlx_lm.generate --model ${model} --prompt "Hello"`],
  },
];

/** With the programs that are known to load all of its layers. MLX reads AWQ too, but people look for a folder of its own. */
function usage(plan: Plan): string {
  const model = plan.publishedAs ?? ".";
  const ways = WAYS.filter(
    ({ loader }) => plan.loadedBy.includes(loader) && (loader !== "mlx" || isMlx(plan)),
  );
  if (ways.length === 0) {
    return `None of the programs whose restrictions are known (${WAYS.map(({ title }) => title).join(", ")}) loads all of these layers.`;
  }
  return ways
    .map(({ title, language, lines }) => `${title}:\n\n${code(language, lines(model).join("\n"))}`)
    .join("\n\n");
}

/** Layers of a table that is shown at once. */
const SHOWN_LAYERS = 32;

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
  const all = table(head, rows);
  const shown = rows.length > SHOWN_LAYERS ? details(`${rows.length} layers`, all) : all;
  return `${meaning}\n\n${shown}`;
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
