import { type ConvertedOutput, relativeError, type TensorError } from "@quern/pipeline";
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
  const rows = params.outputs.flatMap(({ type, errors = [] }) => {
    const tensors = errors.filter(({ requantized }) => requantized);
    if (tensors.length === 0) {
      return [];
    }
    const worst = tensors.toSorted((a, b) => relativeError([b]) - relativeError([a])).slice(0, mostNamed);
    const all = `all ${formatInteger(tensors.length)} tensors that were quantized already`;
    return [[type, all, "", percent(tensors)], ...worst.map((tensor) => describe(type, tensor))];
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

function describe(type: string, tensor: TensorError): string[] {
  return [type, printable(tensor.name), `${tensor.from} to ${tensor.to}`, percent([tensor])];
}

function percent(tensors: readonly TensorError[]): string {
  return `${(relativeError(tensors) * 100).toFixed(3)} %`;
}
