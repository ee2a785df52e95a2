import { ggmlType } from "@quern/gguf";
import { QuernError } from "@quern/tensor";

/** Types of smaller blocks (llama-quant.cpp, `tensor_type_fallback`). */
const FALLBACKS: Readonly<Partial<Record<string, string>>> = {
  IQ1_S: "IQ4_NL",
  IQ1_M: "IQ4_NL",
  IQ2_XXS: "IQ4_NL",
  IQ2_XS: "IQ4_NL",
  IQ2_S: "IQ4_NL",
  IQ3_XXS: "IQ4_NL",
  IQ3_S: "IQ4_NL",
  IQ4_XS: "IQ4_NL",
  Q2_0: "Q4_0",
  Q2_K: "Q4_0",
  Q3_K: "Q4_0",
  TQ1_0: "Q4_0",
  TQ2_0: "Q4_0",
  Q4_K: "Q5_0",
  Q5_K: "Q5_1",
  Q6_K: "Q8_0",
};

/** Types of larger blocks have to be in the table. */
const SMALLEST_QUANTIZED_BLOCK = 32;

/**
 * The type to use in the place of `wanted` for rows of `columns` elements: `wanted` itself where rows are whole blocks, else one
 * of smaller blocks, else F16.
 *
 * @throws QuernError `MIXTURE_NO_FALLBACK`
 */
export function fallbackType(params: { tensor: string; wanted: string; columns: number }): string {
  const { tensor, wanted, columns } = params;
  const fits = (type: string): boolean => columns % ggmlType(type).blockSize === 0;
  if (fits(wanted)) return wanted;
  const fallback = FALLBACKS[wanted];
  const { blockSize } = ggmlType(wanted);
  if (fallback === undefined && blockSize > SMALLEST_QUANTIZED_BLOCK) {
    throw new QuernError(
      "MIXTURE_NO_FALLBACK",
      `tensor "${tensor}": ${columns} columns cannot be ${wanted}: expected a multiple of ${blockSize}, and no other type takes its place`,
      { subject: { tensor } },
    );
  }
  return fallback !== undefined && fits(fallback) ? fallback : "F16";
}
