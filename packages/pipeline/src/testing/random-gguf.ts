import { open } from "node:fs/promises";
import { type GgufMetadata, type GgufTensorSpec, planGguf } from "@quern/gguf";

/** Writes a file of F32 tensors with weights that look random, and are the same for the same seed. */
export async function writeRandomGguf(params: {
  readonly path: string;
  readonly metadata: GgufMetadata;
  /** Of type F32. */
  readonly tensors: readonly GgufTensorSpec[];
  readonly seed: number;
}): Promise<void> {
  const { path, metadata, tensors } = params;
  const layout = planGguf({ metadata, tensors });
  const uniform = uniformNumbers(params.seed);
  const file = await open(path, "w");
  try {
    await file.truncate(layout.fileSize);
    await file.write(layout.header, 0, layout.header.byteLength, 0);
    for (const { offset, size } of layout.tensors) {
      const weights = Float32Array.from({ length: size / 4 }, () => uniform() + uniform() + uniform());
      await file.write(new Uint8Array(weights.buffer), 0, size, offset);
    }
  } finally {
    await file.close();
  }
}

/** From -0.5 to 0.5: a linear congruential generator (Numerical Recipes). */
function uniformNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
}
