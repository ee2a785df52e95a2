/** What becomes of the inputs of a linear layer before it is applied, as runtimes have it that multiply codes by codes. */
export interface InputQuantization {
  /** What the codes are: integers from -127 to 127 (-128 with stored scales), or 8-bit floats. */
  readonly type: "I8" | "F8_E4M3";
  /** Inputs of a token with a scale in common. @default all of them */
  readonly groupSize?: number;
  /** Scales that are stored: one, or one for each matrix of a stacked layer. @default what the largest input of each group needs */
  readonly scales?: readonly number[];
}
