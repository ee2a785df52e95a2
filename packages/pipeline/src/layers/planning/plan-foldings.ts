import { describeFoldings, type Folding } from "@quern/models";
import type { MemberSpec } from "@quern/quantize";
import type { InputSource, Statistics } from "@quern/statistics";
import { QuernError } from "@quern/tensor";
import { listNames } from "../../name-list.ts";
import type { LayeredModel } from "../linear-layers.ts";
import type { PlannedFolding, PlannedMatrix } from "../plan.ts";
import { transformOf } from "../tasks/choose-factors.ts";
import { foldingBytes } from "./memory.ts";
import { planParents } from "./plan-parents.ts";
import { rotationOf } from "./plan-rotation.ts";
import { weightsOf } from "./weights-of.ts";

const NAMES = 3;

/**
 * Where factors for the columns of layers can be folded into what makes their inputs, for a recipe with transforms.
 *
 * @returns the places, and a warning about layers to which no transform can be applied
 * @throws QuernError `QUANTIZE_UNKNOWN`, `QUANTIZE_OPTION`
 */
export function planFoldings(params: {
  readonly model: LayeredModel;
  readonly transforms: readonly MemberSpec[];
  readonly layers: readonly Pick<PlannedMatrix, "weights" | "decision">[];
  readonly statistics?: Statistics | undefined;
  /** Where they are known otherwise. */
  readonly inputs?: InputSource | undefined;
}): { readonly foldings: readonly PlannedFolding[]; readonly warnings: readonly QuernError[] } {
  const { model, transforms, layers } = params;
  if (transforms.length === 0) return { foldings: [], warnings: [] };
  const usesHessian = foldingNeeds(transforms)?.hessians === true;
  const parentFor = planParents(model, transforms, params);
  const { foldings } = describeFoldings({
    description: model.description,
    tensors: new Map([...model.tensors].map(([name, { info }]) => [name, info])),
  });
  const planned = foldings.flatMap((folding): PlannedFolding[] => {
    const tensors = new Set(folding.multiplied.map(({ tensor }) => tensor));
    const reading = layers.filter(({ weights }) => tensors.has(weights.tensor));
    if (reading.length === 0) return [];
    const norm = normOf(folding);
    const parent = parentFor(folding);
    return [
      {
        folding,
        layers: reading,
        usesHessian,
        ...(norm === undefined
          ? {}
          : { norm: { weights: weightsOf(model, norm.tensor), offset: norm.offset } }),
        ...(parent && { parent }),
        bytes: foldingBytes({ layers: reading, columns: folding.columns, usesHessian, parent }),
      },
    ];
  });
  const reached = new Set(planned.flatMap((folding) => folding.layers));
  const others = layers
    .filter((layer) => !reached.has(layer))
    .map(({ weights }) => weights.tensor.replace(/\.weight$/, ""));
  return {
    foldings: planned,
    warnings:
      others.length === 0
        ? []
        : [
            new QuernError(
              "PLAN_TRANSFORM_NOWHERE",
              `factors cannot be folded into what comes before ${others.length} layers, which are rounded without: ${listNames(others, NAMES)}`,
            ),
          ],
  };
}

/** What has to be known of inputs to choose factors, beside figures of their columns. */
export interface FoldingNeeds {
  /** X^T X. */
  readonly hessians: boolean;
  /** Inputs that were kept apart: whole windows of those of attention. */
  readonly parents: boolean;
}

/** @returns undefined for transforms that choose no factors, such as rotations */
export function foldingNeeds(transforms: readonly MemberSpec[]): FoldingNeeds | undefined {
  const needed = transforms.filter((spec) => rotationOf(spec) === undefined).map(transformOf);
  if (needed.length === 0) return undefined;
  return {
    hessians: needed.some(({ needs }) => needs.includes("hessian")),
    parents: needed.some(({ comparesParents }) => comparesParents === true),
  };
}

/** Its weight, where there is one for each column. */
function normOf({ divides, divided }: Folding): Folding["divided"][number] | undefined {
  const [weight] = divided;
  return divides === "norm" && weight?.columnOf === undefined ? weight : undefined;
}
