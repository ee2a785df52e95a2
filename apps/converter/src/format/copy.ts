import type { GgufCopyPlan } from "@quern/gguf/node";
import { formatBytes } from "./bytes.ts";
import { formatInteger } from "./number.ts";
import { fileText } from "./outputs.ts";
import type { Style } from "./style.ts";
import { formatTable } from "./table.ts";

/** The files that a copy writes, one a line. */
export function formatCopyPlan(params: { readonly plan: GgufCopyPlan; readonly style: Style }): string {
  return formatTable({
    columns: [{ title: "Tensors", align: "right" }, { title: "Size", align: "right" }, { title: "File" }],
    rows: params.plan.files.map(({ path, fileSize, tensors, replaces }) => [
      formatInteger(tensors),
      formatBytes(fileSize),
      fileText({ path, bytes: fileSize, ...(replaces ? { note: "replaces the file there" } : {}) }),
    ]),
    style: params.style,
  });
}
