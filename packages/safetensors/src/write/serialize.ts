import { QuernError, type TensorInfo } from "@quern/tensor";
import type { SafetensorsMetadata } from "../format.ts";
import { planSafetensors } from "./plan.ts";

/** A tensor with its data: little-endian elements in row-major order. */
export interface SafetensorsTensorData extends TensorInfo {
  readonly bytes: Uint8Array;
}

/**
 * Makes a whole file in memory. For files that should not be held in memory, plan the layout with `planSafetensors` and write
 * each tensor at its offset.
 *
 * @throws QuernError as `planSafetensors`; `SAFETENSORS_SIZE_MISMATCH` when a tensor's bytes are not of the size that its type
 * and shape give.
 */
export function serializeSafetensors(params: {
  tensors: readonly SafetensorsTensorData[];
  metadata?: SafetensorsMetadata;
}): Uint8Array {
  const layout = planSafetensors(params);
  const file = new Uint8Array(layout.fileSize);
  file.set(layout.header);
  for (const { name, bytes } of params.tensors) {
    const { offset, size, info } = layout.tensors.get(name)!;
    if (bytes.byteLength !== size) {
      throw new QuernError(
        "SAFETENSORS_SIZE_MISMATCH",
        `tensor ${JSON.stringify(name)}: ${bytes.byteLength} bytes given, but ${info.type} elements of shape [${info.shape.join(", ")}] take ${size}`,
        { subject: { tensor: name } },
      );
    }
    file.set(bytes, offset);
  }
  return file;
}
