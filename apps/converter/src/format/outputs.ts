import { formatBytes } from "./bytes.ts";
import { formatRatio } from "./number.ts";
import { printable } from "./printable.ts";
import type { Style } from "./style.ts";
import { formatTable } from "./table.ts";

/** Output files with their sizes, one a line. */
export function formatOutputs(params: {
  readonly outputs: ReadonlyArray<{
    readonly type: string;
    readonly bytes: number;
    readonly bitsPerWeight: number;
    readonly path: string;
    /** What else to say of the file. */
    readonly note?: string;
  }>;
  readonly sourceBytes: number;
  readonly style: Style;
  readonly indent?: number;
}): string {
  return formatTable({
    columns: [
      { title: "Type" },
      { title: "Size", align: "right" },
      { title: "Of source", align: "right" },
      { title: "Bits/weight", align: "right" },
      { title: "File" },
    ],
    rows: params.outputs.map(({ type, bytes, bitsPerWeight, path, note }) => [
      type,
      formatBytes(bytes),
      formatRatio(bytes, params.sourceBytes),
      bitsPerWeight.toFixed(2),
      printable(path) + (note === undefined ? "" : ` (${note})`),
    ]),
    style: params.style,
    indent: params.indent ?? 0,
  });
}
