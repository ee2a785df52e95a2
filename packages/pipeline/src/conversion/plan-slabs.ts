import { rowSize } from "@quern/gguf";
import type { KernelSourceType } from "@quern/kernels";
import { expressionSources, type ModelTensor } from "@quern/models";
import { ELEMENT_TYPES, elementCount } from "@quern/tensor";
import type { ConversionPlan, PlannedTensor } from "../plan.ts";
import type { Slab, SlabConversion } from "./slab.ts";
import { slabBytes } from "./slab-runner.ts";

/** The work of a plan. */
export interface SlabPlan {
  /** How many slabs there are. */
  readonly count: number;
  /** Every row of every tensor once, in the order of the checkpoint, so that it is read front to back. Made one at a time. */
  readonly slabs: Generator<Slab, void, undefined>;
}

/** Cuts the tensors of a plan into slabs that fit its memory. */
export function planSlabs(plan: ConversionPlan): SlabPlan {
  const bytes = slabBytes(plan.resources);
  let firstFile = 0;
  const outputs = plan.outputs.map(({ tensors, files }) => {
    const first = firstFile;
    firstFile += files.length;
    return new Map(tensors.map((tensor) => [tensor.name, { ...tensor, file: first + tensor.file }]));
  });
  const work = plan.tensors.map((tensor, index): TensorWork => {
    const conversions = groupConversions(
      tensor,
      outputs.map((byName) => byName.get(tensor.name)!),
    );
    const columns = tensor.shape.at(-1) ?? 1;
    const rows = elementCount(tensor.shape) / columns;
    const slabRows = Math.max(1, Math.floor(bytes / bytesPerRow(tensor, conversions)));
    return { tensor, index, conversions, columns, rows, slabRows };
  });
  return {
    count: work.reduce((sum, { rows, slabRows }) => sum + Math.ceil(rows / slabRows), 0),
    slabs: cutIntoSlabs(plan, work),
  };
}

interface TensorWork {
  readonly tensor: ModelTensor;
  readonly index: number;
  readonly conversions: readonly ConversionGroup[];
  readonly columns: number;
  readonly rows: number;
  readonly slabRows: number;
}

function* cutIntoSlabs(plan: ConversionPlan, work: readonly TensorWork[]): SlabPlan["slabs"] {
  for (const { tensor, index, conversions, columns, rows, slabRows } of work) {
    const { name, expression, sourceType, shape } = tensor;
    const matrixRows = shape.at(-2) ?? 1;
    const sources = expressionSources(expression).map((source) => plan.checkpoint.tensors.get(source)!);
    const weights = plan.importance?.weights.get(name);
    for (let firstRow = 0; firstRow < rows; firstRow += slabRows) {
      const count = Math.min(slabRows, rows - firstRow);
      const firstMatrix = Math.floor(firstRow / matrixRows);
      const lastMatrix = Math.floor((firstRow + count - 1) / matrixRows);
      const importance = weights?.slice(firstMatrix * columns, (lastMatrix + 1) * columns);
      yield {
        tensor: index,
        name,
        expression,
        sources,
        sourceType,
        columns,
        matrixRows,
        firstRow,
        rows: count,
        conversions: conversions.map(({ usesImportance, ...conversion }) =>
          usesImportance ? { ...conversion, importance: importance! } : conversion,
        ),
      };
    }
  }
}

type ConversionGroup = Omit<SlabConversion, "importance"> & { readonly usesImportance: boolean };

/** Outputs that want the same bytes share one conversion. @param planned With `file` counted among the files of all outputs. */
function groupConversions(tensor: ModelTensor, planned: readonly PlannedTensor[]): ConversionGroup[] {
  const groups = new Map<string, ConversionGroup>();
  const columns = tensor.shape.at(-1) ?? 1;
  for (const { type, via, packed, usesImportance, file, offset } of planned) {
    const key = [type, via, usesImportance].join();
    const group = groups.get(key);
    const targets = [...(group?.targets ?? []), { file, offset }];
    groups.set(key, {
      type,
      rowSize: rowSize(type, columns),
      packed,
      usesImportance,
      targets,
      ...(via === undefined
        ? {}
        : { via: { type: via as KernelSourceType, rowSize: rowSize(via, columns) } }),
    });
  }
  return [...groups.values()];
}

/** Memory that a row takes while its slab is in hand. */
function bytesPerRow(
  { shape, sourceType, expression }: ModelTensor,
  conversions: readonly ConversionGroup[],
): number {
  const evaluated = ((shape.at(-1) ?? 1) * ELEMENT_TYPES[sourceType].bits) / 8;
  // Rows that are rearranged exist twice, and up to every other row is read only to be skipped.
  const copies = expression.operation === "source" ? 1 : 3;
  const converted = conversions.reduce((sum, { rowSize, via }) => sum + rowSize + (via?.rowSize ?? 0), 0);
  return evaluated * copies + converted;
}
