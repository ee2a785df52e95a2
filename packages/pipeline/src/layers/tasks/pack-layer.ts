import { formatOf, type Layer, type LayerConstants, packLayer } from "@quern/checkpoints/formats";
import type { QuantizedMatrix } from "@quern/quantize";
import type { Target, WriteBytes } from "./target.ts";

/** Writes a layer as the tensors of its format. */
export interface PackTask {
  readonly kind: "pack";
  readonly module: string;
  readonly format: string;
  readonly layer: Layer;
  readonly matrix: QuantizedMatrix;
  readonly constants: LayerConstants;
  /** By what follows the name of the module. */
  readonly targets: ReadonlyMap<string, Target>;
}

/** @returns bytes written */
export async function pack(task: PackTask, write: WriteBytes): Promise<number> {
  const { module, format, layer, matrix, constants, targets } = task;
  const parts = packLayer({ format: formatOf(format), layer, matrix, constants, module });
  let written = 0;
  for (const [suffix, { file, offset }] of targets) {
    const bytes = parts.get(suffix)!;
    await write(file, bytes, offset);
    written += bytes.byteLength;
  }
  return written;
}
