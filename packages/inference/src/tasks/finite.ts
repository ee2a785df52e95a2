import { QuernError } from "@quern/tensor";

/**
 * Checks hidden states.
 *
 * @param params.where What made them: "blk.3".
 * @throws QuernError `ACTIVATION_NOT_FINITE`
 */
export function checkFinite(params: {
  hidden: Float32Array;
  width: number;
  where: string;
  /** Number of the window, for the message. */
  window: number;
}): void {
  const { hidden, width, where, window } = params;
  // NaN and infinity are what is not 0 when it is subtracted from itself.
  let sum = 0;
  for (let index = 0; index < hidden.length; index++) sum += hidden[index]! - hidden[index]!;
  if (sum === 0) return;
  const first = hidden.findIndex((value) => !Number.isFinite(value));
  const token = Math.floor(first / width);
  throw new QuernError(
    "ACTIVATION_NOT_FINITE",
    `${where} makes ${hidden[first]} of token ${token} of window ${window} (element ${first % width} of its hidden state): ` +
      "expected finite numbers. Weights may be damaged, or the model overflows single precision",
    { subject: { key: where } },
  );
}
