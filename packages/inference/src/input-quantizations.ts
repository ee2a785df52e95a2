import type { Checkpoint, GgufModel } from "@quern/checkpoints";
import type { InputQuantization, ModelDescription } from "@quern/models";
import { decodeElements, QuernError } from "@quern/tensor";

/**
 * How the inputs of layers are quantized, by GGUF name, with the scales that are stored.
 *
 * @throws QuernError `CHECKPOINT_QUANTIZATION_INVALID` for a scale that is none
 */
export async function inputQuantizations(
  { tensors, inputs }: Pick<ModelDescription, "tensors" | "inputs">,
  source: Checkpoint | GgufModel,
): Promise<ReadonlyMap<string, InputQuantization>> {
  const found = new Map<string, InputQuantization>();
  if (inputs === undefined || !("readTensor" in source)) return found;
  const shapes = new Map(tensors.map(({ name, shape }) => [name, shape]));
  for (const [module, { scales: names, ...quantization }] of inputs) {
    if (names === undefined) {
      found.set(module, quantization);
      continue;
    }
    const scales: number[] = [];
    for (const name of names) scales.push(await readScale(source, name));
    // Layers that have become one are run with the largest of their scales (vLLM, quantization/utils/w8a8_utils.py).
    const stacked = shapes.get(`${module}.weight`)?.length === 3;
    found.set(module, { ...quantization, scales: stacked ? scales : [Math.max(...scales)] });
  }
  return found;
}

async function readScale(source: Checkpoint, name: string): Promise<number> {
  const { type, shape } = source.tensors.get(name)!;
  const [scale, ...rest] = decodeElements({ type, bytes: await source.readTensor(name) });
  if (scale !== undefined && rest.length === 0 && Number.isFinite(scale) && scale > 0) return scale;
  throw new QuernError(
    "CHECKPOINT_QUANTIZATION_INVALID",
    `"${name}" is ${type} [${shape.join(", ")}]${scale === undefined ? "" : `, ${scale} at first`}: expected one scale, a number above 0`,
    { subject: { tensor: name } },
  );
}
