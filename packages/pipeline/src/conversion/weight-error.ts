import { ggmlType } from "@quern/gguf";
import type { QuantizeFault } from "@quern/kernels";
import { QuernError } from "@quern/tensor";
import type { Slab } from "./slab.ts";

/** Types with the range of most checkpoints, which are BF16. */
const WIDE_TYPES = ["BF16", "F32"];

/**
 * What the kernels found wrong with weights of a slab: `WEIGHT_NOT_FINITE`, or `WEIGHT_OVERFLOWS` when a type cannot hold
 * them. The subject is the GGUF tensor, and as `offset` the index of the weight, or of the first weight in its block.
 */
export function weightError(params: {
  readonly slab: Pick<Slab, "name" | "columns" | "firstRow" | "sources">;
  /** ggml type that the weights were to become. */
  readonly type: string;
  /** Whether they were to become another type after that. */
  readonly passing: boolean;
  readonly fault: QuantizeFault["fault"];
  /** Element index in the slab. */
  readonly index: number;
}): QuernError {
  const { slab, type, passing, fault, index } = params;
  const row = slab.firstRow + Math.floor(index / slab.columns);
  const column = index % slab.columns;
  const subject = { tensor: slab.name, offset: row * slab.columns + column };
  const tensor = `Tensor "${slab.name}", made from ${describeSources(slab)},`;
  if (fault === "not-finite") {
    return new QuernError(
      "WEIGHT_NOT_FINITE",
      `${tensor} has a NaN or an infinity in row ${row}, column ${column}: ` +
        "it cannot be quantized. The checkpoint is damaged, or was not trained to the end.",
      { subject },
    );
  }
  const { blockSize } = ggmlType(type);
  const place = blockSize === 1 ? `column ${column}` : `columns ${column} to ${column + blockSize - 1}`;
  const wide = WIDE_TYPES.filter((name) => name !== type).join(" or ");
  return new QuernError(
    "WEIGHT_OVERFLOWS",
    `${tensor} has weights in row ${row}, ${place} that are out of the range of ${type}: ` +
      "they would become infinite or NaN. " +
      `Choose ${wide} ${passing ? "as the intermediate type" : "or another type for this tensor"}.`,
    { subject },
  );
}

function describeSources({ sources }: Pick<Slab, "sources">): string {
  const names = sources.map(({ name, shard }) => `"${name}" (${shard})`);
  return (names.length > 3 ? [...names.slice(0, 3), `${names.length - 3} more`] : names).join(", ");
}
