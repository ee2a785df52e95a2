import type { LayerResultFigures } from "./events.ts";
import type { CheckpointPlan } from "./plan.ts";

export interface ModelCardParams {
  readonly plan: Pick<
    CheckpointPlan,
    "model" | "recipe" | "recipeName" | "kept" | "bitsPerWeight" | "fileSize" | "tool" | "baseModel"
  >;
  readonly layers: readonly LayerResultFigures[];
  /** The card of the model that was quantized: its licence and languages are those of this one. */
  readonly source?: string;
}

/** Keys of the source's front matter that stay true. */
const INHERITED = ["license", "license_name", "license_link", "language", "pipeline_tag"];

/** README.md of a quantized model: what it was made from and how, how to run it, and what rounding did to each layer. */
export function modelCard({ plan, layers, source }: ModelCardParams): string {
  const { model, recipeName, baseModel } = plan;
  const { name } = model.checkpoint;
  const title = baseModel ?? name;
  return `${[
    frontMatter(plan, source),
    `# ${title.split("/").at(-1)}, ${recipeName}`,
    `${baseModel === undefined ? title : `[${baseModel}](https://huggingface.co/${baseModel})`}, quantized by ${programOf(plan.tool)}.`,
    section("How it was made", settings(plan, layers)),
    section("How to run it", usage(layers)),
    section("Errors", errors(layers)),
  ].join("\n\n")}\n`;
}

function frontMatter({ baseModel }: ModelCardParams["plan"], source: string | undefined): string {
  const base = baseModel === undefined ? [] : [`base_model: ${baseModel}`, "base_model_relation: quantized"];
  return [
    "---",
    "library_name: transformers",
    ...base,
    "tags:",
    "  - quantized",
    ...inherited(source),
    "---",
  ].join("\n");
}

/** Whole entries, with the lines of lists that belong to them. */
function inherited(source: string | undefined): string[] {
  const matter = /^---\r?\n([\s\S]*?)\r?\n---/.exec(source ?? "")?.[1];
  if (matter === undefined) return [];
  let keeps = false;
  return matter.split(/\r?\n/).filter((line) => {
    const key = /^([A-Za-z_]+):/.exec(line)?.[1];
    if (key !== undefined) keeps = INHERITED.includes(key);
    else if (!/^\s+\S|^-\s/.test(line)) keeps = false;
    return keeps;
  });
}

function section(title: string, text: string): string {
  return `## ${title}\n\n${text}`;
}

function programOf(tool: string): string {
  return tool.replace(":", " ");
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

function usage(layers: readonly LayerResultFigures[]): string {
  return layers.some(({ format }) => format === "mlx")
    ? code("sh", 'mlx_lm.generate --model . --prompt "Hello"')
    : [
        code(
          "python",
          [
            "from transformers import AutoModelForCausalLM, AutoTokenizer",
            "",
            'tokenizer = AutoTokenizer.from_pretrained(".")',
            'model = AutoModelForCausalLM.from_pretrained(".", device_map="auto")',
            'inputs = tokenizer("Hello", return_tensors="pt").to(model.device)',
            "print(tokenizer.decode(model.generate(**inputs, max_new_tokens=64)[0]))",
          ].join("\n"),
        ),
        code("sh", "vllm serve ."),
      ].join("\n\n");
}

function code(language: string, text: string): string {
  return `\`\`\`${language}\n${text}\n\`\`\``;
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

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}
