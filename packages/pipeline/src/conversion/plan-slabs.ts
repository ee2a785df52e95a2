import { rowSize } from "@quern/gguf";
import type { KernelSourceType } from "@quern/kernels";
import { expressionSources, type ModelTensor } from "@quern/models";
import { ELEMENT_TYPES, elementCount } from "@quern/tensor";
import type { ConversionPlan, PlannedTensor } from "../plan.ts";
import type { Slab, SlabConversion } from "./slab.ts";
import { slabBytes } from "./slab-runner.ts";

/** The work of a plan: every row of every tensor once, in the order of the checkpoint, so that it is read front to back. */
export function* planSlabs(plan: ConversionPlan): Generator<Slab, void, undefined> {
  const bytes = slabBytes(plan.resources);
  const outputs = plan.outputs.map(({ tensors }) => new Map(tensors.map((tensor) => [tensor.name, tensor])));
  for (const [index, tensor] of plan.tensors.entries()) {
    const planned = outputs.map((byName) => byName.get(tensor.name));
    const conversions = groupConversions(tensor, planned);
    if (conversions.length === 0) continue;
    const columns = tensor.shape.at(-1) ?? 1;
    const matrixRows = tensor.shape.at(-2) ?? 1;
    const rows = elementCount(tensor.shape) / columns;
    const slabRows = Math.max(1, Math.floor(bytes / bytesPerRow(tensor, conversions)));
    const sources = expressionSources(tensor.expression).map((name) => plan.checkpoint.tensors.get(name)!);
    const weights = plan.importance?.weights.get(tensor.name);
    for (let firstRow = 0; firstRow < rows; firstRow += slabRows) {
      const count = Math.min(slabRows, rows - firstRow);
      yield {
        tensor: index,
        name: tensor.name,
        expression: tensor.expression,
        sources,
        sourceType: tensor.sourceType,
        columns,
        matrixRows,
        firstRow,
        rows: count,
        conversions: conversions.map(({ usesImportance, ...conversion }) => {
          if (!usesImportance) return conversion;
          const firstMatrix = Math.floor(firstRow / matrixRows);
          const lastMatrix = Math.floor((firstRow + count - 1) / matrixRows);
          return {
            ...conversion,
            importance: weights!.slice(firstMatrix * columns, (lastMatrix + 1) * columns),
          };
        }),
      };
    }
  }
}

type ConversionGroup = Omit<SlabConversion, "importance"> & { readonly usesImportance: boolean };

/** Outputs that want the same bytes share one conversion. */
function groupConversions(
  tensor: ModelTensor,
  planned: readonly (PlannedTensor | undefined)[],
): ConversionGroup[] {
  const groups = new Map<string, ConversionGroup>();
  const columns = tensor.shape.at(-1) ?? 1;
  for (const [output, target] of planned.entries()) {
    if (target === undefined) continue;
    const { type, via, packed, usesImportance, offset } = target;
    const key = [type, via, usesImportance].join();
    const group = groups.get(key);
    const targets = [...(group?.targets ?? []), { output, offset }];
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
