import { kernelInfo, loadKernels } from "../index.ts";
import type { Kernels } from "../index.ts";

/** Kernels of every backend and instruction set that works here. */
export async function allKernels(): Promise<readonly Kernels[]> {
  const reports = await kernelInfo();
  const choices = reports.flatMap(({ backend, isas }) => isas.map((isa) => ({ backend, isa })));
  return Promise.all(choices.map(loadKernels));
}

/** Bytes of a typed array. */
export function bytesOf(array: ArrayBufferView): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

/** Elements and bytes of a block (ggml-common.h of llama.cpp v0.5.0). */
const BLOCKS: Readonly<Record<string, { readonly elements: number; readonly bytes: number }>> = {
  F32: { elements: 1, bytes: 4 },
  F16: { elements: 1, bytes: 2 },
  BF16: { elements: 1, bytes: 2 },
  Q4_0: { elements: 32, bytes: 18 },
  Q4_1: { elements: 32, bytes: 20 },
  Q5_0: { elements: 32, bytes: 22 },
  Q5_1: { elements: 32, bytes: 24 },
  Q8_0: { elements: 32, bytes: 34 },
  Q1_0: { elements: 128, bytes: 18 },
  Q2_0: { elements: 64, bytes: 18 },
  TQ1_0: { elements: 256, bytes: 54 },
  TQ2_0: { elements: 256, bytes: 66 },
  Q2_K: { elements: 256, bytes: 84 },
  Q3_K: { elements: 256, bytes: 110 },
  Q4_K: { elements: 256, bytes: 144 },
  Q5_K: { elements: 256, bytes: 176 },
  Q6_K: { elements: 256, bytes: 210 },
  IQ1_S: { elements: 256, bytes: 50 },
  IQ1_M: { elements: 256, bytes: 56 },
  IQ2_XXS: { elements: 256, bytes: 66 },
  IQ2_XS: { elements: 256, bytes: 74 },
  IQ2_S: { elements: 256, bytes: 82 },
  IQ3_XXS: { elements: 256, bytes: 98 },
  IQ3_S: { elements: 256, bytes: 110 },
  IQ4_NL: { elements: 32, bytes: 18 },
  IQ4_XS: { elements: 256, bytes: 136 },
  MXFP4: { elements: 32, bytes: 17 },
  NVFP4: { elements: 64, bytes: 36 },
};

/** Elements of a block, which divide the columns of a matrix. */
export function blockSize(type: string): number {
  return BLOCKS[type]!.elements;
}

/** Bytes of a row. */
export function rowSize(type: string, columns: number): number {
  const { elements, bytes } = BLOCKS[type]!;
  return (columns / elements) * bytes;
}

/** The ways to quantize to a type: without importance, unless it is required, and with this one. */
export function weightingsOf(
  { requiresImportance }: Kernels,
  type: string,
  importance: Float32Array,
): readonly (Float32Array | undefined)[] {
  return requiresImportance(type) ? [importance] : [undefined, importance];
}
