// ggml of node-llama-cpp's package for this platform, and its types.
import { llamaLibraryPath } from "@quern/peers";
import koffi from "koffi";
import { llamaLibraryFolder } from "./llama-library.mjs";

/** enum ggml_type of ggml.h, and which of the types take importance into account. */
export const TYPES = {
  F16: { number: 1, importance: [false] },
  BF16: { number: 30, importance: [false] },
  Q8_0: { number: 8, importance: [false] },
  Q4_0: { number: 2, importance: [false, true] },
  Q4_1: { number: 3, importance: [false, true] },
  Q5_0: { number: 6, importance: [false, true] },
  Q5_1: { number: 7, importance: [false, true] },
  Q1_0: { number: 41, importance: [false] },
  Q2_0: { number: 42, importance: [false] },
  TQ1_0: { number: 34, importance: [false] },
  TQ2_0: { number: 35, importance: [false] },
  Q2_K: { number: 10, importance: [false, true] },
  Q3_K: { number: 11, importance: [false, true] },
  Q4_K: { number: 12, importance: [false, true] },
  Q5_K: { number: 13, importance: [false, true] },
  Q6_K: { number: 14, importance: [false, true] },
  IQ1_S: { number: 19, importance: [true] },
  IQ1_M: { number: 29, importance: [false, true] },
  IQ2_XXS: { number: 16, importance: [true] },
  IQ2_XS: { number: 17, importance: [true] },
  IQ2_S: { number: 22, importance: [false, true] },
  IQ3_XXS: { number: 18, importance: [false, true] },
  IQ3_S: { number: 21, importance: [false, true] },
  IQ4_NL: { number: 20, importance: [false, true] },
  IQ4_XS: { number: 23, importance: [false, true] },
  MXFP4: { number: 39, importance: [false] },
  NVFP4: { number: 40, importance: [false] },
};

/** Its functions, and those that make F32 of a type. */
export function openGgml() {
  const library = koffi.load(llamaLibraryPath(llamaLibraryFolder(), "libggml-base"));
  return {
    quantize: library.func(
      "size_t ggml_quantize_chunk(int, const void *, void *, int64_t, int64_t, int64_t, const void *)",
    ),
    widen: library.func("void ggml_bf16_to_fp32_row(const void *, void *, int64_t)"),
    dequantize: (type) => library.func(`void ${dequantizeName(type)}(const void *, void *, int64_t)`),
    rowSize: library.func("size_t ggml_row_size(int, int64_t)"),
  };
}

function dequantizeName(type) {
  if (type.endsWith("F16")) return `ggml_${type.toLowerCase().replace(/^f/, "fp")}_to_fp32_row`;
  return `dequantize_row_${type.toLowerCase().replace(/_k$/, "_K")}`;
}
