import { findLlamaLibraries, llamaLibraryPath } from "@quern/peers";
import koffi from "koffi";

/** Numbers of `enum ggml_type` (ggml.h). */
const TYPE_NUMBERS = {
  F32: 0,
  F16: 1,
  Q4_0: 2,
  Q4_1: 3,
  Q5_0: 6,
  Q5_1: 7,
  Q8_0: 8,
  Q2_K: 10,
  Q3_K: 11,
  Q4_K: 12,
  Q5_K: 13,
  Q6_K: 14,
  IQ1_S: 19,
  IQ1_M: 29,
  IQ2_XXS: 16,
  IQ2_XS: 17,
  IQ2_S: 22,
  IQ3_XXS: 18,
  IQ4_NL: 20,
  IQ3_S: 21,
  IQ4_XS: 23,
  BF16: 30,
  MXFP4: 39,
  NVFP4: 40,
  TQ1_0: 34,
  TQ2_0: 35,
  Q1_0: 41,
  Q2_0: 42,
} as const;

export type GgmlType = keyof typeof TYPE_NUMBERS;

const LARGEST_FLOAT32 = 3.4028234663852886e38;

/**
 * Types with codebooks: where weights are larger than this, and importance is up to 1e17, sums overflow in ggml's searches, which
 * then end the process (`GGML_ASSERT(grid_index >= 0)` in ggml-quants.c).
 */
const LARGEST_WEIGHTS: Partial<Record<GgmlType, number>> = {
  IQ1_S: 1e6,
  IQ1_M: 1e6,
  IQ2_XXS: 1e9,
  IQ2_XS: 1e9,
  IQ2_S: 1e9,
  IQ3_XXS: 1e9,
  IQ3_S: 1e9,
};

/** The largest weight that ggml quantizes to a type without ending the process. */
export function largestWeight(type: GgmlType): number {
  return LARGEST_WEIGHTS[type] ?? LARGEST_FLOAT32;
}

/** The real ggml, as llama.cpp quantizes with it. */
export interface GgmlLibrary {
  readonly path: string;
  /** Elements of a block. */
  blockSize(type: GgmlType): number;
  /** Bytes of a row. */
  rowSize(type: GgmlType, columns: number): number;
  /** `ggml_quantize_chunk` on whole rows. */
  quantize(params: GgmlQuantizeParams): void;
  /** The type's `to_float`. */
  dequantize(type: GgmlType, source: Uint8Array, target: Float32Array): void;
  /** `ggml_validate_row_data` on whole blocks. What it does not accept, it says on standard error. */
  accepts(type: GgmlType, blocks: Uint8Array): boolean;
  /** Widens F16 or BF16 elements. */
  widen(type: "F16" | "BF16", source: Uint16Array, target: Float32Array): void;
}

export interface GgmlQuantizeParams {
  readonly type: GgmlType;
  readonly source: Float32Array;
  readonly target: Uint8Array;
  readonly rows: number;
  readonly columns: number;
  readonly importance?: Float32Array | undefined;
}

/**
 * Where node-llama-cpp keeps the ggml library whose bytes the kernels reproduce, or why there is none. That is the one for
 * x86-64 alone: compilers for ARM fuse multiplications with additions.
 */
export function findGgmlLibrary(): { readonly path: string } | { readonly missing: string } {
  const platform = `${process.platform}-${process.arch}`;
  if (platform !== "linux-x64")
    return { missing: `the reference is ggml for linux-x64, and this is ${platform}` };
  const found = findLlamaLibraries();
  return "missing" in found ? found : { path: llamaLibraryPath(found.folder, "libggml-base") };
}

export function openGgmlLibrary(path: string): GgmlLibrary {
  const library = koffi.load(path);
  const rowSize = library.func("size_t ggml_row_size(int type, int64_t columns)");
  const quantizeChunk = library.func(
    "size_t ggml_quantize_chunk(int type, const void *source, void *target, int64_t start, int64_t rows, int64_t columns, const void *importance)",
  );
  const validate = library.func("bool ggml_validate_row_data(int type, const void *data, size_t bytes)");
  const convertRow = koffi.proto("void (const void *source, void *target, int64_t count)");
  const conversion = (name: string) => library.func(name, "void", ["const void *", "void *", "int64_t"]);
  const wideners = { F16: conversion("ggml_fp16_to_fp32_row"), BF16: conversion("ggml_bf16_to_fp32_row") };
  const typeTraits = koffi.struct({
    type_name: "const char *",
    blck_size: "int64_t",
    blck_size_interleave: "int64_t",
    type_size: "size_t",
    is_quantized: "bool",
    to_float: "void *",
    from_float_ref: "void *",
  });
  const getTypeTraits = library.func("void *ggml_get_type_traits(int type)");
  const traitsOf = (type: GgmlType) => koffi.decode(getTypeTraits(TYPE_NUMBERS[type]), typeTraits);

  return {
    path,
    blockSize: (type) => Number(traitsOf(type).blck_size),
    rowSize: (type, columns) => Number(rowSize(TYPE_NUMBERS[type], columns)),
    quantize({ type, source, target, rows, columns, importance }) {
      const written = quantizeChunk(TYPE_NUMBERS[type], source, target, 0, rows, columns, importance ?? null);
      if (Number(written) !== target.length)
        throw new Error(`ggml wrote ${written} bytes, not ${target.length}`);
    },
    dequantize(type, source, target) {
      if (type === "F32") {
        new Uint8Array(target.buffer, target.byteOffset, target.byteLength).set(source);
        return;
      }
      koffi.call(traitsOf(type).to_float, convertRow, source, target, target.length);
    },
    accepts: (type, blocks) => validate(TYPE_NUMBERS[type], blocks, blocks.length),
    widen: (type, source, target) => wideners[type](source, target, source.length),
  };
}
