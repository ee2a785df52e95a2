import { commitLink, quantizedMetadata, repositoryLink, section, table } from "@quern/pipeline/cards";
import { fileRows, type FileRow, fileTable, hasFigures } from "./file-table.ts";
import { divergenceText, known, measurementText, percentText, perplexityText } from "./figures-text.ts";
import { ggufUsage } from "./gguf-usage.ts";
import type { MeasuredFigures, Measurement } from "./measured.ts";
import type { Card } from "./merge-card.ts";
import { useOfType } from "./use-of-type.ts";

/** A type as its row of the table has it. */
export interface CardOutput {
  readonly type: string;
  readonly files: readonly { readonly name: string; readonly bytes: number }[];
  readonly bitsPerWeight: number;
  readonly figures: MeasuredFigures;
}

export interface GgufCardParams {
  /** "org/name-GGUF" */
  readonly repository: string;
  /** "org/name" on the Hub; undefined where that is not known. */
  readonly baseModel: string | undefined;
  /** Of the base model. */
  readonly commit: string | undefined;
  /** As GGUF calls it: "llama". */
  readonly architecture: string;
  /** What it is called where there is no base model. */
  readonly name: string;
  /** Card of the base model. */
  readonly sourceCard: string | undefined;
  /** What the model does, where that card does not tell: "text-generation". */
  readonly task: string | undefined;
  readonly quantizedBy: string | undefined;
  /** "quern 1.0.0" */
  readonly tool: string;
  readonly outputs: readonly CardOutput[];
  readonly importance: { readonly file: string; readonly datasets: readonly string[] } | undefined;
  /** What was asked for beside types, in words of the command line. */
  readonly settings: readonly { readonly name: string; readonly value: string }[];
  readonly measurement: Measurement | undefined;
  /** Section of an earlier publication, whose rows stay for files that the repository still has. */
  readonly earlier: string;
  /** Paths of all files of the repository. */
  readonly files: ReadonlySet<string>;
}

/** The card of a repository of GGUF files. */
export function ggufCard(params: GgufCardParams): Card {
  const { repository, baseModel, sourceCard, quantizedBy, tool } = params;
  const title = repository.split("/").at(-1)!;
  const origin = baseModel === undefined ? params.name : repositoryLink(baseModel);
  return {
    metadata: {
      ...withoutImages(
        quantizedMetadata({
          baseModel,
          card: sourceCard,
          task: params.task,
          library: "gguf",
          tags: ["gguf", "quantized"],
        }),
      ),
      ...(quantizedBy === undefined ? {} : { quantized_by: quantizedBy }),
    },
    body: [
      `# ${title}`,
      `${origin} in GGUF, for llama.cpp and the programs that are built on it; made by ${tool}.`,
      section("Files", files(params)),
      section("How to run it", ggufUsage(params)),
      section("How it was made", provenance(params)),
    ].join("\n\n"),
  };
}

/** The files hold the language model of one that sees or hears besides. */
function withoutImages(metadata: Record<string, unknown>): Record<string, unknown> {
  const { pipeline_tag: task } = metadata;
  const isOfMore =
    typeof task === "string" && /^(?:(?:image|video|audio)(?:-text)?-to-text|any-to-any)$/.test(task);
  return isOfMore ? { ...metadata, pipeline_tag: "text-generation" } : metadata;
}

function files({ outputs, earlier, files: present, measurement }: GgufCardParams): string {
  const names = new Set(outputs.flatMap((output) => output.files.map(({ name }) => name)));
  const kept = fileRows(earlier).filter(({ file }) => present.has(file) && !names.has(file));
  const rows = [...outputs.map(rowOf), ...kept.map(({ row }) => row)];
  const notes = ["Size counts all files of a type."];
  if (hasFigures(rows, "Weight error")) {
    notes.push("Weight error is the root of squared errors over squared weights.");
  }
  if (measurement !== undefined) notes.push(measurementText(measurement));
  return `${fileTable(rows)}\n\n${notes.join(" ")}`;
}

function rowOf({ type, files: parts, bitsPerWeight, figures }: CardOutput): FileRow {
  const [first, ...others] = parts;
  const bytes = parts.reduce((sum, part) => sum + part.bytes, 0);
  const more = others.length === 0 ? "" : ` and ${others.length} more`;
  const { divergence, agreement, perplexity, weightError } = figures;
  return {
    File: `[${first!.name}](./${first!.name})${more}`,
    Type: type,
    Size: sizeText(bytes),
    "Bits per weight": bitsPerWeight.toFixed(2),
    "KL divergence": known(divergence, divergenceText),
    "Same top token": known(agreement, percentText),
    Perplexity: known(perplexity, perplexityText),
    "Weight error": known(weightError, percentText),
    "Good for": useOfType(bitsPerWeight),
  };
}

function provenance(params: GgufCardParams): string {
  const { baseModel, commit, name, tool, importance, settings } = params;
  const source =
    baseModel === undefined
      ? name
      : commit === undefined
        ? repositoryLink(baseModel)
        : commitLink(baseModel, commit);
  const rows = [
    ["Source", source],
    ["Program", tool],
    ...(importance === undefined ? [] : [["Importance matrix", importanceText(importance)]]),
    ...settings.map((setting) => [setting.name, `\`${setting.value}\``]),
  ];
  return table(
    ["", ""],
    rows.map((cells) => cells.map(cell)),
  );
}

/** Texts that calibration ran on may be told by where they lie: that is nobody else's business. */
function importanceText({ file, datasets }: NonNullable<GgufCardParams["importance"]>): string {
  const names = datasets.map((dataset) => dataset.split(/[/\\]/).at(-1)!).filter((name) => name !== "");
  return [file, ...(names.length === 0 ? [] : [`of ${names.join(", ")}`])].join(" ");
}

/** A text that stays in its cell. */
function cell(text: string): string {
  return text.replaceAll(/\s+/g, " ").replaceAll("|", "\\|");
}

/** Powers of 1000, as the Hub counts. */
function sizeText(bytes: number): string {
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(2)} GB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
