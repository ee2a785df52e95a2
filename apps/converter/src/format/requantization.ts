import type { ConvertedOutput, RequantizedTensor } from "@quern/pipeline";
import { formatInteger } from "./number.ts";
import { printable } from "./printable.ts";
import type { Style } from "./style.ts";
import { formatTable } from "./table.ts";

/** Tensors of an output that are named: who wants all takes --json. */
const mostNamed = 5;

/** What quantizing again added to the error of each output: in all, and where it is largest. Empty where nothing was. */
export function formatRequantization(params: {
  readonly outputs: readonly ConvertedOutput[];
  readonly style: Style;
}): string {
  const rows = params.outputs.flatMap(({ type, requantized }) => {
    if (requantized === undefined) {
      return [];
    }
    const { tensors, relativeError } = requantized;
    const worst = tensors.toSorted((a, b) => b.relativeError - a.relativeError).slice(0, mostNamed);
    const all = `all ${formatInteger(tensors.length)} tensors that were quantized already`;
    return [[type, all, "", percent(relativeError)], ...worst.map((tensor) => describe(type, tensor))];
  });
  if (rows.length === 0) {
    return "";
  }
  const table = formatTable({
    columns: [
      { title: "Quantized again" },
      { title: "Tensor" },
      { title: "Change" },
      { title: "Error added", align: "right" },
    ],
    rows,
    style: params.style,
  });
  return `${table}\n`;
}

function describe(type: string, { name, from, to, relativeError }: RequantizedTensor): string[] {
  return [type, printable(name), `${from} to ${to}`, percent(relativeError)];
}

function percent(relativeError: number): string {
  return `${(relativeError * 100).toFixed(3)} %`;
}
