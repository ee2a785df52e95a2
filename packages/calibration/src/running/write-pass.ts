import type { LinearInputs } from "@quern/models";
import { packedLength, type StatisticsWriter } from "@quern/statistics";
import { checkRange } from "../accumulation/check-range.ts";
import { packRows } from "../accumulation/hessian.ts";
import type { InputSums, PassMemory } from "../accumulation/pass-memory.ts";
import type { BlockPass } from "../planning/block-passes.ts";

/**
 * Writes what a pass has added up.
 *
 * @throws QuernError `CALIBRATION_OVERFLOW` for sums that the file cannot hold, `OUTPUT_*`
 */
export async function writePass(params: {
  readonly writer: StatisticsWriter;
  readonly inputs: readonly LinearInputs[];
  readonly pass: BlockPass;
  readonly memory: PassMemory;
}): Promise<void> {
  const { writer, inputs, pass, memory } = params;
  for (const [index, sums] of memory.sums) await writeSums(writer, inputs[index]!.name, sums);
  for (const slice of pass.slices.flat()) {
    const input = inputs[slice.input]!.name;
    const values = packRows({ ...slice, h: memory.hessians.get(slice)! });
    const { matrix, firstRow } = slice;
    await writer.write({ input, entry: "hessian", matrix, start: packedLength(firstRow), values });
  }
}

async function writeSums(
  writer: StatisticsWriter,
  input: string,
  { calibration, tokens, holdOut }: InputSums,
): Promise<void> {
  checkRange(input, calibration.sumOfSquares);
  await writer.write({ input, entry: "tokens", values: tokens });
  await writer.write({ input, entry: "sum", values: calibration.sum });
  await writer.write({ input, entry: "sumSquares", values: calibration.sumOfSquares });
  await writer.write({ input, entry: "sumAbs", values: calibration.sumOfMagnitudes });
  await writer.write({ input, entry: "absMax", values: calibration.largest });
  await writer.write({ input, entry: "histogram", values: calibration.counts! });
  if (holdOut === undefined) return;
  const { sums, tokens: heldOut, samples, windows } = holdOut;
  checkRange(input, sums.sumOfSquares);
  await writer.write({ input, entry: "holdOutTokens", values: heldOut });
  await writer.write({ input, entry: "holdOutSumSquares", values: sums.sumOfSquares });
  await writer.write({ input, entry: "holdOutRowCounts", values: samples.map(({ count }) => count) });
  for (const [matrix, { count, rows }] of samples.entries()) {
    if (count > 0) await writer.write({ input, entry: "holdOutRows", matrix, values: rows });
  }
  if (windows !== undefined) await writer.write({ input, entry: "windowRows", values: windows.rows });
}
