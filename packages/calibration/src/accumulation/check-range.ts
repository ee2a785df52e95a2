import { QuernError } from "@quern/tensor";

/** The largest number of single precision. */
const LARGEST = 3.4028234663852886e38;

/**
 * Checks sums of squares of an input: no element of X^T X is larger than the largest of these.
 *
 * @throws QuernError `CALIBRATION_OVERFLOW`
 */
export function checkRange(input: string, sums: Float64Array): void {
  const bad = sums.findIndex((sum) => !(sum <= LARGEST));
  if (bad < 0) return;
  throw new QuernError(
    "CALIBRATION_OVERFLOW",
    `the squares of what ${input} reads in column ${bad} add up to ${sums[bad]}: more than single precision holds`,
    { subject: { tensor: input, offset: bad } },
  );
}
