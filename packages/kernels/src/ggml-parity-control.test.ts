// Shows that the parity tests can fail: kernels whose multiplications and additions the compiler has fused must not pass them.
import { describe, expect, it } from "vitest";
import { kernelInfo } from "./index.ts";
import { compileKernels, findCompiler } from "./testing/kernels-under-test.ts";
import {
  findGgmlLibrary,
  openGgmlLibrary,
  type GgmlQuantizeParams,
  type GgmlType,
} from "./testing/ggml-library.ts";
import { differingBlocks } from "./testing/parity.ts";
import { gaussianWeights } from "./testing/weights.ts";

/** Types whose searches add up many products. */
const TYPES: readonly GgmlType[] = [
  "Q2_K",
  "Q3_K",
  "Q4_K",
  "Q5_K",
  "Q6_K",
  "IQ3_XXS",
  "IQ3_S",
  "IQ4_NL",
  "IQ4_XS",
];

const library = findGgmlLibrary();
const compiler = findCompiler();
const hasAvx2 = (await kernelInfo()).some(({ isas }) => isas.includes("avx2"));
const missing = whatIsMissing();

describe.skipIf(missing)(`kernels compiled with AVX2${missing ? ` (skipped: ${missing})` : ""}`, () => {
  it("give the bytes of ggml without fused operations, and others with them", async () => {
    const [exact, fused] = await Promise.all([
      compileKernels(compiler!, ["-mavx2", "-ffp-contract=off"]),
      compileKernels(compiler!, ["-mavx2", "-mfma", "-ffp-contract=fast"]),
    ]);
    expect(typesThatDiffer(exact)).toEqual([]);
    expect(typesThatDiffer(fused)).toEqual(TYPES);
  });
});

function whatIsMissing(): string | undefined {
  if ("missing" in library) return library.missing;
  if (compiler === undefined) return "no C compiler";
  return hasAvx2 ? undefined : "no AVX2";
}

function typesThatDiffer(quantize: (params: GgmlQuantizeParams) => void): GgmlType[] {
  if ("missing" in library) return [];
  const ggml = openGgmlLibrary(library.path);
  const { rows, columns, weights, importance } = gaussianWeights(64, 4096, 1);
  return TYPES.filter((type) => {
    const expected = new Uint8Array(rows * ggml.rowSize(type, columns));
    const actual = new Uint8Array(expected.length);
    ggml.quantize({ type, source: weights, target: expected, rows, columns, importance });
    quantize({ type, source: weights, target: actual, rows, columns, importance });
    return differingBlocks(expected, actual, ggml.rowSize(type, ggml.blockSize(type))) !== undefined;
  });
}
