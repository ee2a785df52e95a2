import {
  type ImportanceExamination,
  type ImportanceFile,
  type ImportanceStatistics,
  layerStatistics,
} from "@quern/statistics";
import type { ShownTensor } from "../commands/imatrix-show.ts";
import { formatInteger } from "./number.ts";
import { printable } from "./printable.ts";
import type { Style } from "./style.ts";
import { formatFacts, formatTable, type TableColumn } from "./table.ts";

/** An importance matrix for people: where it comes from, its tensors, averages by layer. */
export function formatImportance(params: {
  readonly file: ImportanceFile;
  readonly tensors: readonly ShownTensor[];
  readonly style: Style;
}): string {
  const { file, tensors, style } = params;
  const layers = layerStatistics(tensors.flatMap(({ statistics }) => statistics ?? []));
  return [
    formatHead(file, style),
    `\n${style.bold(`Tensors (${formatInteger(tensors.length)})`)}\n`,
    formatTable({ columns: tensorColumns, rows: tensors.map(tensorRow), style, indent: 2 }),
    ...(layers.length === 0
      ? []
      : [
          `\n${style.bold(`Layers (${formatInteger(layers.length)}), averages by number of activations`)}\n`,
          formatTable({
            columns: ["Layer", "Σ(Act²)", "ZD", "CosSim"].map((title) => ({ title, align: "right" })),
            rows: layers.map(({ layer, total, zScoreDensity, cosineSimilarity }) => [
              String(layer),
              total.toFixed(2),
              percent(zScoreDensity),
              cosineSimilarity.toFixed(4),
            ]),
            style,
            indent: 2,
          }),
        ]),
  ].join("");
}

const FORMATS: Readonly<Record<ImportanceFile["format"], string>> = {
  gguf: "GGUF",
  dat: "dat (the older layout)",
  statistics: "statistics file",
};

function formatHead({ name, format, datasets, chunks, chunkSize }: ImportanceFile, style: Style): string {
  const size = chunkSize === 0 ? "" : ` of ${formatInteger(chunkSize)} tokens`;
  return formatFacts({
    facts: [
      ["file", printable(name)],
      ["format", FORMATS[format]],
      ["texts", datasets.length === 0 ? "not named" : datasets.map(printable).join(", ")],
      ["chunks", chunks === 0 ? "unknown" : `${formatInteger(chunks)}${size}`],
    ],
    style,
  });
}

/** Titles as `llama-imatrix --show-statistics` has them. */
const tensorColumns: readonly TableColumn[] = [
  { title: "Layer", align: "right" },
  { title: "Tensor" },
  ...["Σ(Act²)", "Min", "Max", "μ", "σ", "% Active", "N", "Entropy", "E (norm)", "ZD", "CosSim"].map(
    (title): TableColumn => ({ title, align: "right" }),
  ),
  { title: "Note" },
];

function tensorRow({ examination, statistics }: ShownTensor): string[] {
  return [...figures(examination, statistics), notes(examination)];
}

function figures({ name }: ImportanceExamination, statistics: ImportanceStatistics | undefined): string[] {
  if (statistics === undefined) {
    return ["-", printable(name), ...tensorColumns.slice(2, -1).map(() => "-")];
  }
  const { layer, kind, normalizedEntropy, cosineSimilarity } = statistics;
  return [
    layer === undefined ? "-" : String(layer),
    printable(kind),
    statistics.total.toFixed(2),
    statistics.min.toFixed(4),
    statistics.max.toFixed(4),
    statistics.mean.toFixed(2),
    statistics.deviation.toFixed(2),
    percent(statistics.active),
    String(statistics.elements),
    statistics.entropy.toFixed(4),
    Number.isNaN(normalizedEntropy) ? "-" : percent(normalizedEntropy),
    percent(statistics.zScoreDensity),
    cosineSimilarity === undefined ? "-" : cosineSimilarity.toFixed(4),
  ];
}

/** What is missing or wrong. */
function notes({ columns, matrices, unseen, zeroColumns, fault }: ImportanceExamination): string {
  return [
    ...(fault === undefined ? [] : [`damaged: ${fault.value} in column ${fault.index % columns}`]),
    ...(unseen === 0 ? [] : [matrices === 1 ? "never seen" : `${unseen} of ${matrices} never seen`]),
    ...(zeroColumns === 0 ? [] : [`${formatInteger(zeroColumns)} columns always zero`]),
  ].join(", ");
}

function percent(share: number): string {
  return `${(100 * share).toFixed(2)}%`;
}
