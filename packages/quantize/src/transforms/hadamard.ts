import { QuernError } from "@quern/tensor";

/** What of a model is rotated: weights become others, of which the model computes the same, and nothing is computed in addition. */
export interface RotationTransform {
  readonly name: string;
  readonly rotates: {
    /** What passes between blocks (R1 of QuaRot and SpinQuant). */
    readonly hiddenStates: boolean;
    /** What attention mixes, head by head (R2). */
    readonly values: boolean;
    readonly seed: number;
  };
}

export interface HadamardOptions {
  /** Hidden states, which all but output and down projections read. @default true */
  readonly r1?: boolean;
  /** Values of heads, which output projections read. @default true */
  readonly r2?: boolean;
  /** Of the signs. @default 0 */
  readonly seed?: number;
}

/** Random Hadamard rotations (`randomizedHadamard`), which spread outliers over all columns. */
export function hadamard({ r1 = true, r2 = true, seed = 0 }: HadamardOptions = {}): RotationTransform {
  if (!(Number.isSafeInteger(seed) && seed >= 0) || !(r1 || r2)) {
    throw new QuernError(
      "QUANTIZE_OPTION",
      `hadamard rotates by r1, r2 or both, with a whole number from 0 on as seed, not ${seed}`,
    );
  }
  return { name: "hadamard", rotates: { hiddenStates: r1, values: r2, seed } };
}
