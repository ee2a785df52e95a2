import type {
  CheckpointPlan,
  PlannedBlockCheck,
  PlannedCopy,
  PlannedFolding,
  PlannedGroup,
  PlannedLinear,
} from "./plan.ts";
import { type PlacedPart, placedParts } from "./planning/planned-files.ts";

/** A part of the work on a checkpoint, to be done by itself. Plain data. */
export interface CheckpointPart {
  /** Position among the parts of the plan. */
  readonly tensor: number;
}

/** What is found out about a block before layers are rounded: factors that are folded into it, and that its transforms do no harm. */
interface PlannedPreparation {
  readonly foldings: readonly PlannedFolding[];
  readonly checks: readonly PlannedBlockCheck[];
}

/** What a part of a plan is: layers that read the same inputs, a tensor that is copied, or what is found out about a block before. */
export interface PlannedPart {
  /** Name of its first weight in the source, or of the block. */
  readonly name: string;
  /** Of its weights. */
  readonly elements: number;
  /** Everything that it writes. */
  readonly places: readonly PlacedPart[];
  readonly preparation?: PlannedPreparation;
  readonly group?: PlannedGroup;
  readonly copy?: PlannedCopy;
}

/**
 * The parts of a plan: blocks that have to be prepared; then layers in the order of the computation, and tensors that are copied. None of
 * these depends on another, but on what is found out about blocks.
 */
export function checkpointParts(
  plan: Pick<CheckpointPlan, "checkpoint" | "foldings" | "checks" | "stages" | "copies">,
): PlannedPart[] {
  const places = new Map(placedParts(plan.checkpoint).map((part) => [part.name, part]));
  const placesOf = (names: readonly string[]): PlacedPart[] => names.map((name) => places.get(name)!);
  return [
    ...preparations(plan),
    ...plan.stages.flatMap(({ groups }) =>
      groups.map((group): PlannedPart => {
        const { layers } = group;
        return {
          name: layers[0]!.weights.tensor,
          elements: layers.reduce((sum, layer) => sum + layerElements(layer), 0),
          places: placesOf(layers.flatMap(writtenNames)),
          group,
        };
      }),
    ),
    ...plan.copies.map((copy): PlannedPart => {
      const { tensor: name } = copy.weights;
      return { name, elements: elementsOf(copy.weights), places: placesOf([copy.name]), copy };
    }),
  ];
}

function preparations({ foldings, checks }: PlannedPreparation): PlannedPart[] {
  const blocks = new Set([
    ...foldings.map(({ folding }) => folding.layer),
    ...checks.map(({ graph }) => graph.layer),
  ]);
  return [...blocks].map((block): PlannedPart => {
    const own = {
      foldings: foldings.filter(({ folding }) => folding.layer === block),
      checks: checks.filter(({ graph }) => graph.layer === block),
    };
    const weights = own.foldings.flatMap(({ layers }) => layers.map((layer) => layer.weights));
    return {
      name: block === undefined ? own.foldings[0]!.folding.name : `blk.${block}`,
      elements: weights.reduce((sum, one) => sum + elementsOf(one), 0),
      places: [],
      preparation: own,
    };
  });
}

/** Names of all tensors that a layer becomes. */
export function writtenNames({
  linear,
  targets,
  bias,
}: Pick<PlannedLinear, "linear" | "targets" | "bias">): string[] {
  const names = [...targets.keys()].map((suffix) => `${linear.module}${suffix}`);
  return bias === undefined ? names : [...names, bias.name];
}

/** Elements of the source that a layer is made of. */
export function layerElements({ weights, bias }: Pick<PlannedLinear, "weights" | "bias">): number {
  return elementsOf(weights) + (bias === undefined ? 0 : elementsOf(bias.weights));
}

function elementsOf({ rows, columns }: { readonly rows: number; readonly columns: number }): number {
  return rows * columns;
}
