import { formatBytes } from "./bytes.ts";
import { formatRatio } from "./number.ts";
import { printable } from "./printable.ts";
import type { Style } from "./style.ts";
import { formatTable } from "./table.ts";

/** A file as the tables show it. */
export interface ShownFile {
  readonly path: string;
  readonly bytes: number;
  /** What else to say of the file. */
  readonly note?: string;
}

/** Outputs with their sizes; one of several files has a line for each behind its own. */
export function formatOutputs(params: {
  readonly outputs: ReadonlyArray<{
    readonly type: string;
    readonly bytes: number;
    readonly bitsPerWeight: number;
    readonly files: readonly ShownFile[];
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
    rows: params.outputs.flatMap(({ type, bytes, bitsPerWeight, files }) => {
      const [only, ...more] = files;
      return [
        [
          type,
          formatBytes(bytes),
          formatRatio(bytes, params.sourceBytes),
          bitsPerWeight.toFixed(2),
          more.length === 0 && only !== undefined ? fileText(only) : `${files.length} files`,
        ],
        ...(more.length === 0 ? [] : files).map((file) => [
          "",
          formatBytes(file.bytes),
          "",
          "",
          fileText(file),
        ]),
      ];
    }),
    style: params.style,
    indent: params.indent ?? 0,
  });
}

/** Path and note. */
export function fileText({ path, note }: ShownFile): string {
  return printable(path) + (note === undefined ? "" : ` (${note})`);
}
