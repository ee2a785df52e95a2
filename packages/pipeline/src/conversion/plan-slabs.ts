import { rowSize } from "@quern/gguf";
import { expressionSources, type ModelTensor } from "@quern/models";
import { ELEMENT_TYPES, elementCount, isElementType } from "@quern/tensor";
import type { ConversionPlan } from "../plan.ts";
import { hessianBytes } from "./hessian-forms.ts";
import { holds } from "../planning/float-type.ts";
import { FinishedTensors } from "./finished-tensors.ts";
import type { Slab, SlabConversion } from "./slab.ts";
import { type TensorPlace, TensorPlaces } from "./tensor-places.ts";
import { slabBytes } from "./slab-runner.ts";
import { isPacked, weightType } from "./weight-type.ts";

/** The work of a plan. */
export interface SlabPlan {
  /** How many slabs there are. */
  readonly count: number;
  /** Every row of every tensor once, in the order of the checkpoint, so that it is read front to back. Made one at a time, with its weights of importance. */
  readonly slabs: AsyncGenerator<Slab, void, undefined>;
}

/**
 * Cuts the tensors of a plan into slabs that fit its memory.
 *
 * @param finished Tensors that outputs have already, and do not get again.
 * @param later Tensors of the model that they do not get yet.
 */
export function planSlabs(
  plan: ConversionPlan,
  finished: FinishedTensors = new FinishedTensors(plan),
  later: ReadonlySet<string> = new Set(),
): SlabPlan {
  const places = new TensorPlaces(plan);
  const work = plan.tensors
    .map((tensor, index): TensorWork => {
      const conversions = groupConversions({
        tensor,
        planned: plan.outputs.map((_, output) =>
          later.has(tensor.name) || finished.has(output, tensor.name)
            ? undefined
            : inSlabs(places.find(output, index)),
        ),
        measuresErrors: plan.measuresErrors,
      });
      const columns = tensor.shape.at(-1) ?? 1;
      const rows = elementCount(tensor.shape) / columns;
      const isMeasured = conversions.some(({ measured }) => measured);
      const hessian = isMeasured ? plan.hessians?.modules.get(tensor.name) : undefined;
      const buffers = bytesOfSlabs({ tensor, conversions, hessian: hessian !== undefined });
      const bytes = slabBytes({ ...plan.resources, hessians: hessian !== undefined });
      const slabRows = Math.max(1, Math.floor((bytes - buffers.fixed) / buffers.perRow));
      return { tensor, index, conversions, columns, rows, slabRows, ...(hessian && { hessian }) };
    })
    .filter(({ conversions }) => conversions.length > 0);
  return {
    count: work.reduce((sum, { rows, slabRows }) => sum + Math.ceil(rows / slabRows), 0),
    slabs: cutIntoSlabs(plan, work),
  };
}

/** What is rounded by inputs is not done in slabs. */
function inSlabs(planned: TensorPlace | undefined): TensorPlace | undefined {
  return planned?.rounding === undefined ? planned : undefined;
}

interface TensorWork {
  readonly tensor: ModelTensor;
  readonly index: number;
  readonly conversions: readonly ConversionGroup[];
  readonly columns: number;
  readonly rows: number;
  readonly slabRows: number;
  readonly hessian?: string;
}

async function* cutIntoSlabs(plan: ConversionPlan, work: readonly TensorWork[]): SlabPlan["slabs"] {
  for (const { tensor, index, conversions, columns, rows, slabRows, hessian } of work) {
    const { name, expression, shape } = tensor;
    const matrixRows = shape.at(-2) ?? 1;
    const sources = expressionSources(expression).map((source) => plan.checkpoint.tensors.get(source)!);
    const usesImportance = conversions.some((conversion) => conversion.usesImportance);
    for (let firstRow = 0; firstRow < rows; firstRow += slabRows) {
      const count = Math.min(slabRows, rows - firstRow);
      const firstMatrix = Math.floor(firstRow / matrixRows);
      const matrices = Math.floor((firstRow + count - 1) / matrixRows) + 1 - firstMatrix;
      const range = { start: firstMatrix * columns, count: matrices * columns };
      const importance = usesImportance ? await plan.importance!.readWeights(name, range) : undefined;
      yield {
        tensor: index,
        name,
        expression,
        sources,
        weightType: weightType(tensor),
        columns,
        matrixRows,
        firstRow,
        rows: count,
        ...(hessian && { hessian }),
        conversions: conversions.map(({ usesImportance, ...conversion }) =>
          usesImportance ? { ...conversion, importance: importance! } : conversion,
        ),
      };
    }
  }
}

type ConversionGroup = Omit<SlabConversion, "importance"> & { readonly usesImportance: boolean };

/**
 * Outputs that want the same bytes share one conversion.
 *
 * @param params.planned What each output makes of the tensor, with `file` counted among the files of all outputs; undefined where it
 * is left out.
 */
function groupConversions({
  tensor,
  planned,
  measuresErrors,
}: {
  tensor: ModelTensor;
  planned: readonly (TensorPlace | undefined)[];
  measuresErrors: boolean;
}): ConversionGroup[] {
  const groups = new Map<string, ConversionGroup>();
  const columns = tensor.shape.at(-1) ?? 1;
  for (const target of planned) {
    if (target === undefined) continue;
    const { type, via, packed, requantized, usesImportance, file, offset } = target;
    const key = [type, via, usesImportance].join();
    const group = groups.get(key);
    const targets = [...(group?.targets ?? []), { file, offset }];
    groups.set(key, {
      type,
      rowSize: rowSize(type, columns),
      packed,
      measured: requantized || (measuresErrors && rounds(tensor, target)),
      usesImportance,
      targets,
      ...(via === undefined ? {} : { via: { type: via, rowSize: rowSize(via, columns) } }),
    });
  }
  return [...groups.values()];
}

/** Whether weights can become others. */
function rounds(tensor: ModelTensor, { type, via, packed }: TensorPlace): boolean {
  return !packed && (via !== undefined || isPacked(tensor) || !holds(type, tensor.sourceType));
}

/** Memory that a slab takes while it is in hand: whatever its size, and for each row. */
function bytesOfSlabs(params: {
  readonly tensor: ModelTensor;
  readonly conversions: readonly ConversionGroup[];
  readonly hessian: boolean;
}): { fixed: number; perRow: number } {
  const { tensor, conversions, hessian } = params;
  const { shape, expression } = tensor;
  const columns = shape.at(-1) ?? 1;
  const type = weightType(tensor);
  const evaluated = isElementType(type) ? (columns * ELEMENT_TYPES[type].bits) / 8 : rowSize(type, columns);
  // Rows that are rearranged exist twice, and up to every other row is read only to be skipped.
  const copies = expression.operation === "source" ? 1 : 3;
  const converted = conversions.reduce((sum, { rowSize, via }) => sum + rowSize + (via?.rowSize ?? 0), 0);
  const perRow = evaluated * copies + converted;
  if (!hessian) return { fixed: 0, perRow };
  const measured = conversions.filter((conversion) => conversion.measured).length;
  const forms = hessianBytes({ columns, matrices: 1 + measured });
  return { fixed: forms.fixed, perRow: perRow + forms.perRow };
}
