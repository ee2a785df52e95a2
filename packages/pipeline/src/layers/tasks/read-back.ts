import { dequantize, formatOf, type Layer, unpackLayer } from "@quern/checkpoints/formats";
import { byteSize, decodeElements, type ElementType } from "@quern/tensor";
import type { ReadBytes, Target } from "./target.ts";

/** Puts what a layer that has been written stands for into shared memory. */
export interface ReadLayerTask {
  readonly kind: "read-layer";
  readonly module: string;
  readonly format: string;
  readonly layer: Layer;
  /** By what follows the name of the module. */
  readonly targets: ReadonlyMap<string, Target>;
  /** rows x columns */
  readonly into: Float32Array;
}

export async function readLayer(task: ReadLayerTask, read: ReadBytes): Promise<undefined> {
  const { module, layer, targets, into } = task;
  const format = formatOf(task.format);
  const bytes = new Map<string, Uint8Array>();
  for (const { suffix, type, shape } of format.parts(layer)) {
    const { file, offset } = targets.get(suffix)!;
    bytes.set(suffix, await read(file, offset, byteSize({ type, shape })));
  }
  dequantize(unpackLayer({ format, layer, bytes, module }), into);
}

/** Gives the elements of a small tensor that has been written. */
export interface ReadElementsTask {
  readonly kind: "read-elements";
  /** For reports. */
  readonly tensor: string;
  readonly type: ElementType;
  readonly count: number;
  readonly target: Target;
}

export async function readElements(task: ReadElementsTask, read: ReadBytes): Promise<Float32Array> {
  const { type, count, target } = task;
  return decodeElements({
    type,
    bytes: await read(target.file, target.offset, byteSize({ type, shape: [count] })),
  });
}
