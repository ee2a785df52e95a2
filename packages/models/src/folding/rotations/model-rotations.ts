import type { RotationOf } from "../../expressions/operations/rotate.ts";
import type { FoldedPart, OmittedFolding } from "../folding.ts";

/** Rows or columns of a tensor of the checkpoint that are rotated. */
export interface RotatedPart extends Omit<RotationOf, "seed" | "size"> {
  readonly tensor: string;
}

/** A norm whose weights have to be 1 where a rotation goes through it. */
export interface FusedNorm {
  /** Its weight in the checkpoint. */
  readonly tensor: string;
  readonly columns: number;
  /** What the model adds to what is stored. */
  readonly offset: number;
  /** Weights whose columns are multiplied by those of the norm instead. */
  readonly readers: readonly FoldedPart[];
}

/** What passes between blocks can be rotated (R1 of QuaRot and SpinQuant). */
export interface ResidualRotation {
  /** Elements of a hidden state. */
  readonly size: number;
  readonly norms: readonly FusedNorm[];
  readonly parts: readonly RotatedPart[];
  /** Where the output is the embedding: its tensor, and the norm before it. The output has to get a tensor of its own. */
  readonly tied?: { readonly embedding: string; readonly norm: FusedNorm };
}

/** What attention mixes of the values of each head of a block can be rotated (R2). */
export interface HeadRotation {
  readonly layer: number;
  /** Elements of a head's values. */
  readonly size: number;
  readonly parts: readonly RotatedPart[];
}

export interface ModelRotations {
  readonly residual?: ResidualRotation;
  readonly heads: readonly HeadRotation[];
  /** Why there is no rotation of hidden states, or of the values of a block. */
  readonly omitted: readonly OmittedFolding[];
}
