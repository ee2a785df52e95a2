import { type InspectedValue, type Inspection, typeHistogram, weightsOf } from "../inspection/inspection.ts";
import { formatBytes } from "./bytes.ts";
import { formatBitsPerWeight, formatInteger, formatParameters, formatRatio } from "./number.ts";
import { printable, shorten } from "./printable.ts";
import type { Style } from "./style.ts";
import { formatFacts, formatTable } from "./table.ts";

/** Elements of an array, and characters of a text, that are shown unless all are asked for. */
const shownElements = 6;
const shownCharacters = 72;

/** A model file for people: what it is, its metadata, tensors, and types. */
export function formatInspection(params: {
  readonly inspection: Inspection;
  /** Show arrays and texts of metadata whole. */
  readonly full: boolean;
  readonly style: Style;
}): string {
  const { inspection, full, style } = params;
  const { metadata, tensors } = inspection;
  const sections = [
    formatHead(inspection, style),
    ...(metadata.size === 0
      ? []
      : [
          section(`Metadata (${formatInteger(metadata.size)})`, formatMetadata(metadata, full, style), style),
        ]),
    ...(tensors.length === 0
      ? []
      : [
          section(`Tensors (${formatInteger(tensors.length)})`, formatTensors(inspection, style), style),
          section("Types", formatHistogram(inspection, style), style),
        ]),
  ];
  return sections.join("\n");
}

function section(title: string, body: string, style: Style): string {
  return `${style.bold(title)}\n${body}`;
}

function formatHead(inspection: Inspection, style: Style): string {
  const { format, files, facts, tensors } = inspection;
  const elements = tensors.reduce((sum, { shape }) => sum + weightsOf(shape), 0);
  const weights = inspection.parameters ?? elements;
  const bytes = tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
  return formatFacts({
    facts: [
      ["format", format],
      ...files.map(({ name, size }) => ["file", `${printable(name)} (${formatBytes(size)})`] as const),
      ...facts.map(([label, value]) => [label, printable(value)] as const),
      [
        "parameters",
        weights < 1000 ? String(weights) : `${formatParameters(weights)} (${formatInteger(weights)})`,
      ],
      [
        "weights",
        weights === 0 ? "none" : `${formatBytes(bytes)}, ${formatBitsPerWeight(bytes, weights)} bits each`,
      ],
    ],
    style,
  });
}

function formatMetadata(metadata: Inspection["metadata"], full: boolean, style: Style): string {
  return formatTable({
    columns: [{ title: "Key" }, { title: "Type" }, { title: "Value" }],
    rows: [...metadata].map(([key, value]) => [
      printable(key),
      value.length === undefined ? value.type : `${value.type}[${value.length}]`,
      formatValue(value, full),
    ]),
    style,
    indent: 2,
  });
}

/** A value on one line, shortened unless `full`. */
export function formatValue(value: InspectedValue, full: boolean): string {
  const decoded = value.value(full ? Number.POSITIVE_INFINITY : shownElements);
  const text = typeof decoded === "string" ? decoded : JSON.stringify(decoded);
  if (full) {
    return printable(text);
  }
  if (value.length !== undefined && value.length > shownElements) {
    return `${printable(shorten(text.slice(0, -1), shownCharacters))}, …]`;
  }
  return printable(shorten(text, shownCharacters));
}

function formatTensors({ tensors }: Inspection, style: Style): string {
  return formatTable({
    columns: [
      { title: "Tensor" },
      { title: "Type" },
      { title: "Shape", align: "right" },
      { title: "Bytes", align: "right" },
    ],
    rows: tensors.map(({ name, type, shape, bytes }) => [
      printable(name),
      type,
      shape.length === 0 ? "scalar" : shape.join(" x "),
      formatInteger(bytes),
    ]),
    style,
    indent: 2,
  });
}

function formatHistogram({ tensors }: Inspection, style: Style): string {
  const total = tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
  return formatTable({
    columns: [
      { title: "Type" },
      { title: "Tensors", align: "right" },
      { title: "Parameters", align: "right" },
      { title: "Bytes", align: "right" },
      { title: "Share", align: "right" },
      { title: "Bits/weight", align: "right" },
    ],
    rows: typeHistogram(tensors).map((share) => [
      share.type,
      formatInteger(share.tensors),
      formatInteger(share.weights),
      formatInteger(share.bytes),
      formatRatio(share.bytes, total),
      formatBitsPerWeight(share.bytes, share.weights),
    ]),
    style,
    indent: 2,
  });
}
