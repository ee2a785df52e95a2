import type { GgufChange, GgufValue } from "@quern/gguf";
import { inspectValue } from "../inspection/gguf.ts";
import { formatValue } from "./inspection.ts";
import { printable } from "./printable.ts";
import type { Style } from "./style.ts";
import { formatTable } from "./table.ts";

/** What an edit changes, a key a line: old value, new value. */
export function formatChanges(params: {
  readonly changes: readonly GgufChange[];
  readonly style: Style;
}): string {
  const { changes, style } = params;
  if (changes.length === 0) {
    return "Nothing changes.\n";
  }
  return formatTable({
    columns: [{ title: "Key" }, { title: "Type" }, { title: "Before" }, { title: "After" }],
    rows: changes.map(({ key, before, after }) => [
      printable(key),
      typeText((after ?? before)!),
      before === undefined ? "(new)" : valueText(before),
      after === undefined ? "(removed)" : valueText(after),
    ]),
    style,
  });
}

function typeText(value: GgufValue): string {
  return value.type === "array" ? `${value.elements}[${value.length}]` : value.type;
}

function valueText(value: GgufValue): string {
  return formatValue(inspectValue(value), false);
}
