import type { Kernels } from "@quern/kernels";
import { type ParentInput, parentErrors } from "@quern/models";
import {
  chooseFactors,
  findMember,
  type Hessian,
  type Matrix,
  membersOf,
  type MemberSpec,
  scaleColumns,
  scaleHessian,
  type Transform,
  TRANSFORMS,
  type Treatment,
} from "@quern/quantize";
import { about } from "../about-tensor.ts";
import type { PlannedParent } from "../plan.ts";
import { type OpenReader, readWeights, type Weights } from "./weights.ts";

/** Chooses the factors by which the columns of layers with the same inputs are multiplied. */
export interface ChooseFactorsTask {
  readonly kind: "choose-factors";
  readonly layers: readonly Weights[];
  /** One after the other. */
  readonly transforms: readonly MemberSpec[];
  /** How the layers will be rounded. */
  readonly treatment: Treatment;
  /** In shared memory. */
  readonly hessian?: Hessian;
  readonly meanMagnitudes: Float32Array;
  readonly largestMagnitudes: Float32Array;
  /** What is compared, on these inputs. */
  readonly parent?: PlannedParent & { readonly input: ParentInput };
}

/** A transform that a recipe names. */
export function transformOf({ name, options = {} }: MemberSpec): Transform {
  return (findMember(TRANSFORMS, name) as (options: object) => Transform)(options);
}

/** @returns by column, the product of the factors of all transforms */
export async function chooseColumnFactors(
  task: ChooseFactorsTask,
  kernels: Kernels,
  open: OpenReader,
): Promise<Float32Array> {
  const { transforms, treatment, meanMagnitudes, largestMagnitudes } = task;
  const { grid, calibrator } = membersOf(treatment, { kernels });
  const whole = task.layers.map(async (weights): Promise<Matrix> => {
    const { rows, columns } = weights;
    return { rows, columns, values: await readWeights(weights, { firstRow: 0, rows }, open) };
  });
  let layers: readonly Matrix[] = await Promise.all(whole);
  let { hessian } = task;
  const errorOf =
    task.parent &&
    (await parentErrors({
      ...task.parent,
      reader: open(task.parent.sources),
      layers: task.layers.map(({ tensor }) => tensor),
      kernels,
    }));
  const product = new Float32Array(meanMagnitudes.length).fill(1);
  for (const spec of transforms) {
    const divided = (values: Float32Array): Float32Array => values.map((value, i) => value / product[i]!);
    // Layers have the factors of earlier transforms, and the parent's inputs have not.
    const inverse = spec === transforms[0] ? undefined : product.map((factor) => 1 / factor);
    const parentError =
      errorOf &&
      ((changed: readonly Matrix[]): number =>
        errorOf(changed.map((layer) => (inverse ? scaleColumns(layer, inverse) : layer).values)));
    const { factors } = about(task.layers[0]!.tensor, () =>
      chooseFactors({
        transform: transformOf(spec),
        layers,
        grid,
        calibrator,
        ...(hessian && { hessian }),
        meanMagnitudes: divided(meanMagnitudes),
        largestMagnitudes: divided(largestMagnitudes),
        math: kernels.math,
        parentError,
      }),
    );
    for (let column = 0; column < product.length; column++) product[column]! *= factors[column]!;
    if (spec === transforms.at(-1)) break;
    layers = layers.map((layer) => scaleColumns(layer, factors));
    hessian = hessian && scaleHessian(hessian, factors);
  }
  return product;
}
