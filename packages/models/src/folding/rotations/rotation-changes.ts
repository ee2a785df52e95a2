import { QuernError } from "@quern/tensor";
import { rotating } from "../../expressions/operations/rotate.ts";
import { scaling } from "../../expressions/operations/scale.ts";
import { values } from "../../expressions/operations/values.ts";
import type { OpenExpression } from "../../expressions/expression.ts";
import type { ModelTensor } from "../../model.ts";
import { scaleTensors } from "../scale-tensors.ts";
import { foldTensor, joinChanges, type WeightChanges } from "../weight-changes.ts";
import type { FusedNorm, ModelRotations, ResidualRotation, RotatedPart } from "./model-rotations.ts";

/** What rotations make of a checkpoint. */
export interface RotationChanges {
  readonly changes: WeightChanges;
  /**
   * Where the output was the embedding: what makes the output, which is a tensor of its own now ("lm_head" in a checkpoint, with
   * `tie_word_embeddings` false), from the embedding's tensor.
   */
  readonly output?: WeightChanges;
}

/**
 * What becomes of the checkpoint's tensors when it is rotated. Factors are folded into the rotated model: their changes come after these
 * (`joinChanges`).
 *
 * @param params.rotations Those that are wanted: either may be left out of what `describeRotations` gives.
 * @param params.gains Weights of all fused norms, by the name of their tensor, as they are stored.
 * @param params.seed @default 0
 * @throws QuernError `FOLDING_GAINS` when the weights of a norm are not given, or not finite
 */
export function rotationChanges(params: {
  readonly rotations: Pick<ModelRotations, "residual" | "heads">;
  readonly gains: ReadonlyMap<string, Float32Array>;
  readonly seed?: number;
}): RotationChanges {
  const { rotations, gains, seed = 0 } = params;
  const { residual, heads } = rotations;
  // Each block has a rotation of its own, and hidden states another.
  const ofHeads = heads.flatMap(({ layer, size, parts }) => rotated(parts, size, seed + 1 + layer));
  if (residual === undefined) return { changes: collect(ofHeads) };
  const { size, tied } = residual;
  const changes = [fused(residual, gains), collect(rotated(residual.parts, size, seed)), collect(ofHeads)];
  if (tied === undefined) return { changes: changes.reduce(joinChanges) };
  const columns = gainOf(tied.norm, gains);
  const output = [scaling({ columns }), rotating({ axis: "columns", size, seed })];
  return {
    changes: [...changes, new Map([[tied.norm.tensor, [constant(tied.norm)]]])].reduce(joinChanges),
    output: new Map([[tied.embedding, output]]),
  };
}

/** The output of a model where it was the embedding. */
export function untiedOutput(embedding: ModelTensor, output: WeightChanges): ModelTensor {
  return foldTensor({ ...embedding, name: "output.weight", role: "output" }, output);
}

/** Norms of 1, and what reads them multiplied by what they were. */
function fused({ norms }: ResidualRotation, gains: ReadonlyMap<string, Float32Array>): WeightChanges {
  const scales = scaleTensors(
    norms.flatMap((norm) => norm.readers.map((part) => ({ part, factors: gainOf(norm, gains) }))),
  );
  return new Map([...scales, ...norms.map((norm) => [norm.tensor, [constant(norm)]] as const)]);
}

function constant({ columns, offset }: FusedNorm): OpenExpression {
  return values(Array.from({ length: columns }, () => 1 - offset));
}

function gainOf(
  { tensor, columns, offset }: FusedNorm,
  gains: ReadonlyMap<string, Float32Array>,
): Float64Array {
  const stored = gains.get(tensor);
  if (stored?.length === columns && stored.every(Number.isFinite)) {
    return Float64Array.from(stored, (gain) => gain + offset);
  }
  throw new QuernError("FOLDING_GAINS", `expected ${columns} finite weights of the norm "${tensor}"`, {
    subject: { tensor },
  });
}

function rotated(parts: readonly RotatedPart[], size: number, seed: number): [string, OpenExpression][] {
  return parts.map(({ tensor, axis, starts }) => [
    tensor,
    rotating({ axis, size, seed, ...(starts && { starts }) }),
  ]);
}

/** Tensors have rows and columns, each of which may be rotated. */
function collect(operations: readonly (readonly [string, OpenExpression])[]): WeightChanges {
  const changes = new Map<string, OpenExpression[]>();
  for (const [name, operation] of operations) {
    const known = changes.get(name);
    if (known === undefined) changes.set(name, [operation]);
    else known.push(operation);
  }
  return changes;
}
