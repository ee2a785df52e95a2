import { writeFile } from "node:fs/promises";
import type { GgufTensorSpec } from "../layout.ts";
import type { GgufMetadata, GgufValue } from "../value.ts";
import { ggufArray, ggufString, ggufUint32 } from "../values.ts";
import { planGguf } from "../write/plan-gguf.ts";

/** Metadata that looks like that of a model. */
export const modelMetadata: GgufMetadata = new Map<string, GgufValue>([
  ["general.architecture", ggufString("llama")],
  ["general.name", ggufString("A model with a name")],
  ["tokenizer.ggml.tokens", ggufArray("string", ["a", "b", "c"])],
  ["llama.context_length", ggufUint32(2048)],
]);

/** Tensors of 64, 128, 32, 32 and 320 bytes with padding. */
export const modelTensors: readonly GgufTensorSpec[] = [16, 32, 8, 1, 80].map((columns, index) => ({
  name: `t${index}`,
  type: "F32",
  ne: [columns],
}));

/** Writes a file whose bytes of tensor data are all different from those beside them. */
export async function writeModel(
  path: string,
  params: { metadata?: GgufMetadata; tensors?: readonly GgufTensorSpec[] } = {},
): Promise<void> {
  const { metadata = modelMetadata, tensors = modelTensors } = params;
  const layout = planGguf({ metadata, tensors });
  const bytes = new Uint8Array(layout.fileSize);
  bytes.set(layout.header);
  let next = 0;
  for (const { offset, size } of layout.tensors) {
    for (let index = 0; index < size; index++) bytes[offset + index] = next++ % 251;
  }
  await writeFile(path, bytes);
}
