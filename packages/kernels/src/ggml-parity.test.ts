// The bytes of the real ggml, for every type and instruction set that this machine runs. QUERN_PARITY_WEIGHTS sets the number of
// weights per type (a million unless set); each goes through every instruction set, with and without importance.
import { describe, expect, it } from "vitest";
import { kernelInfo, loadKernels, type QuantizeFault } from "./index.ts";
import { weightingsOf } from "./testing/backends.ts";
import { findGgmlLibrary, openGgmlLibrary, type GgmlLibrary, type GgmlType } from "./testing/ggml-library.ts";
import { differingBlocks, differingFloats } from "./testing/parity.ts";
import { paritySets } from "./testing/parity-sets.ts";
import { createRandom } from "./testing/random.ts";

const TYPES: readonly GgmlType[] = [
  "F32",
  "F16",
  "BF16",
  "Q8_0",
  "Q4_0",
  "Q4_1",
  "Q5_0",
  "Q5_1",
  "Q1_0",
  "Q2_0",
  "TQ1_0",
  "TQ2_0",
  "Q2_K",
  "Q3_K",
  "Q4_K",
  "Q5_K",
  "Q6_K",
  "IQ1_S",
  "IQ1_M",
  "IQ2_XXS",
  "IQ2_XS",
  "IQ2_S",
  "IQ3_XXS",
  "IQ3_S",
  "IQ4_NL",
  "IQ4_XS",
  "MXFP4",
  "NVFP4",
];
const WEIGHTS = Number(process.env["QUERN_PARITY_WEIGHTS"] ?? 1_000_000);
/** Milliseconds per type: a start, and ten times what a million weights take on a slow machine. */
const TIMEOUT = 60_000 + WEIGHTS / 50;

const backends = await kernelInfo();
const kernels = await Promise.all(
  backends.flatMap(({ backend, isas }) => isas.map((isa) => loadKernels({ backend, isa }))),
);
const library = findGgmlLibrary();
const reason = "missing" in library ? ` (skipped: ${library.missing})` : "";
const isas = kernels.map(({ info }) => `${info.backend} ${info.isa}`).join(", ");

it("knows each of these types on every instruction set", () => {
  expect(kernels.length).toBeGreaterThan(0);
  for (const { types } of kernels) expect([...types].sort()).toEqual([...TYPES].sort());
});

describe.skipIf(reason)(`${WEIGHTS} weights per type on ${isas}${reason}`, () => {
  const ggml = "path" in library ? openGgmlLibrary(library.path) : (undefined as never);

  it.each(TYPES)(
    "%s: quantizes to the bytes of ggml",
    (type) => {
      expect(quantizeEverywhere(ggml, type)).toEqual([]);
    },
    TIMEOUT,
  );

  it.each(TYPES)(
    "%s: dequantizes to the floats of ggml",
    (type) => {
      expect(dequantizeEverywhere(ggml, type)).toEqual([]);
    },
    TIMEOUT,
  );
});

/** What differs, one line for each set, instruction set and presence of importance. */
function quantizeEverywhere(ggml: GgmlLibrary, type: GgmlType): string[] {
  const found: string[] = [];
  for (const { name, rows, columns, weights, source, sourceType, importance } of paritySets(
    WEIGHTS,
    type,
    ggml,
  )) {
    for (const weighting of weightingsOf(kernels[0]!, type, importance)) {
      const expected = new Uint8Array(rows * ggml.rowSize(type, columns));
      ggml.quantize({ type, source: weights, target: expected, rows, columns, importance: weighting });
      const faults = new Set<string | undefined>();
      const report = (isa: string, difference: string | undefined): void => {
        if (difference) found.push(`${isa}, ${name}, ${weighting ? "with" : "no"} importance: ${difference}`);
      };
      for (const { info, quantize } of kernels) {
        const target = new Uint8Array(expected.length);
        const params = { type, sourceType, source, target, rows, columns };
        const fault = quantize(weighting ? { ...params, importance: weighting } : params);
        // Blocks that overflow have the bytes of ggml, too.
        report(info.isa, differingBlocks(expected, target, ggml.rowSize(type, ggml.blockSize(type))));
        const verdict = JSON.stringify(fault);
        if (!faults.has(verdict)) report(info.isa, differingVerdict(ggml, type, expected, fault));
        faults.add(verdict);
      }
    }
  }
  return found;
}

/** Whether ggml accepts the blocks that it wrote, up to the one in which we find a fault. */
function differingVerdict(
  ggml: GgmlLibrary,
  type: GgmlType,
  blocks: Uint8Array,
  fault: QuantizeFault | undefined,
): string | undefined {
  const [elements, bytes] = [ggml.blockSize(type), ggml.rowSize(type, ggml.blockSize(type))];
  const end = fault === undefined ? blocks.length : (fault.index / elements) * bytes;
  const what = JSON.stringify(fault) ?? "no fault";
  if (!ggml.accepts(type, blocks.subarray(0, end))) return `${what}, but ggml refuses an earlier block`;
  if (fault === undefined) return undefined;
  // Infinite or NaN scales show in every value of their block, except E8M0's, of which ggml itself says so.
  const values = new Float32Array(elements);
  const block = blocks.subarray(end, end + bytes);
  ggml.dequantize(type, block, values);
  const refused = values.some((value) => !Number.isFinite(value)) || !ggml.accepts(type, block);
  return refused ? undefined : `${what}, but ggml accepts that block`;
}

/** Quantized weights, and blocks of random bytes. */
function dequantizeEverywhere(ggml: GgmlLibrary, type: GgmlType): string[] {
  const found: string[] = [];
  const random = createRandom(7);
  for (const { name, rows, columns, weights, importance } of paritySets(WEIGHTS / 4, type, ggml)) {
    const quantized = new Uint8Array(rows * ggml.rowSize(type, columns));
    const weighting = weightingsOf(kernels[0]!, type, importance)[0];
    ggml.quantize({ type, source: weights, target: quantized, rows, columns, importance: weighting });
    const garbage = Uint8Array.from(quantized, () => random.integer(256));
    for (const [kind, source] of Object.entries({ quantized, garbage })) {
      const expected = new Float32Array(rows * columns);
      ggml.dequantize(type, source, expected);
      for (const { info, dequantize } of kernels) {
        const target = new Float32Array(expected.length);
        dequantize({ type, source, target, rows, columns });
        const difference = differingFloats(expected, target);
        if (difference) found.push(`${info.isa}, ${kind} ${name}: ${difference}`);
      }
    }
  }
  return found;
}
