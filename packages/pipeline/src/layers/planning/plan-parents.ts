import {
  expressionSources,
  type Folding,
  forwardModel,
  parentOf,
  planForward,
  weightNames,
} from "@quern/models";
import type { MemberSpec } from "@quern/quantize";
import type { InputSource, Statistics } from "@quern/statistics";
import { QuernError } from "@quern/tensor";
import type { LayeredModel } from "../linear-layers.ts";
import type { PlannedFolding, PlannedParent } from "../plan.ts";
import { transformOf } from "../tasks/choose-factors.ts";
import { HELD_OUT_ROWS } from "./memory.ts";

/**
 * Finds what is compared while factors are chosen, where transforms compare the modules around layers.
 *
 * @returns undefined for places whose layers are compared themselves
 */
export function planParents(
  { description, tensors, checkpoint }: LayeredModel,
  transforms: readonly MemberSpec[],
  {
    statistics,
    inputs,
  }: { readonly statistics?: Statistics | undefined; readonly inputs?: InputSource | undefined },
): (folding: Folding) => PlannedParent | undefined {
  if (!transforms.some((spec) => transformOf(spec).comparesParents === true)) return () => undefined;
  const blocks = new Map(planForward(forwardModel(description)).blocks.map((block) => [block.layer, block]));
  const known = new Map(description.tensors.map((tensor) => [tensor.name, tensor]));
  // Whether statistics have what is needed, and are of the model at all, is checked apart.
  const windowRows = (module: string): number =>
    statistics === undefined
      ? (inputs?.kept?.windowRows ?? 0)
      : ((statistics.has(module) ? statistics.input(module).windows?.rows : undefined) ?? 0);
  return (folding) => {
    const block = folding.layer === undefined ? undefined : blocks.get(folding.layer);
    // Weights that are stored as inputs x outputs have no rows of their own.
    const isPlain = folding.multiplied.every(({ axis }) => axis === "columns");
    const parent = block && isPlain ? parentOf(block, folding) : undefined;
    if (parent === undefined) return undefined;
    const own = parent.tensors.flatMap((name) => known.get(name) ?? []);
    const weights = new Set(own.flatMap(({ expression }) => weightNames(expression)));
    const sources = new Set(own.flatMap(({ expression }) => expressionSources(expression)));
    return {
      parent,
      rows: parent.kind === "attention" ? windowRows(folding.statistics.module) : HELD_OUT_ROWS,
      tensors: own,
      weights: [...weights].map((name) => tensors.get(name)!.info),
      sources: [...sources].map((name) => checkpoint.tensors.get(name)!),
    };
  };
}

/** What to do about inputs that are missing. */
const MISSING = {
  "feed-forward": ["no inputs of it were held out", "--hold-out 10"],
  attention: ["no windows of its inputs were kept whole", "--keep-windows 4"],
} as const;

/**
 * Checks that statistics have inputs on which parents can be compared: any of a feed-forward network, whole windows of attention.
 *
 * @throws QuernError `STATISTICS_UNKNOWN_MODULE`, `STATISTICS_NOT_COLLECTED`
 */
export function checkParentInputs(statistics: Statistics, foldings: readonly PlannedFolding[]): void {
  for (const { folding, parent } of foldings) {
    if (parent === undefined) continue;
    const { module } = folding.statistics;
    const { kind } = parent.parent;
    const { holdOutRows, windows } = statistics.input(module);
    if (kind === "attention" ? windows !== undefined : holdOutRows > 0) continue;
    const [problem, option] = MISSING[kind];
    throw new QuernError(
      "STATISTICS_NOT_COLLECTED",
      `${statistics.file}: "${module}": ${problem}, on which its transform compares what is around the layers (loss "parent"); ` +
        `collect them with \`quern calibrate ${option}\`, or take the loss "layers"`,
      { subject: { file: statistics.file, tensor: module } },
    );
  }
}
