import { open } from "node:fs/promises";
import type { ConversionPlan } from "@quern/pipeline";
import { checksumRange, partialPathOf, reportingAs } from "@quern/tensor/node";

/**
 * CRC-32 of a tensor's bytes in the partial file of an output, which is opened anew: that is when file systems of networks look for what
 * other machines have written.
 *
 * @returns undefined where the output does not have the tensor
 */
export async function checksumPart(
  plan: Pick<ConversionPlan, "tensors" | "outputs">,
  { tensor, output }: { readonly tensor: number; readonly output: number },
): Promise<string | undefined> {
  const planned = plan.outputs[output];
  const source = plan.tensors[tensor]?.name;
  const place = planned?.tensors.find((candidate) => candidate.source === source);
  if (planned === undefined || place === undefined) return undefined;
  const { path } = planned.files[place.file]!;
  const handle = await reportingAs(path, () => open(partialPathOf(path), "r"));
  try {
    return await checksumRange({ handle, path, offset: place.offset, size: place.size });
  } finally {
    await handle.close();
  }
}
