import { ggmlType } from "@quern/gguf";
import type { Kernels } from "@quern/kernels";
import type { ModelTensor } from "@quern/models";
import { elementCount } from "@quern/tensor";
import type { PlannedOutput } from "../plan.ts";
import { estimateSeconds } from "./duration.ts";
import type { PlannedHessians } from "./find-hessians.ts";

/** How long everything takes that is not rounded by inputs. */
export function conversionSeconds(context: {
  readonly kernels: Kernels;
  readonly outputs: readonly PlannedOutput[];
  readonly tensors: readonly ModelTensor[];
  readonly hessians: PlannedHessians | undefined;
  readonly threads: number;
  readonly sourceBytes: number;
}): number {
  const { kernels, outputs, tensors, hessians, threads, sourceBytes } = context;
  return estimateSeconds({
    kernels,
    loads: outputs.flatMap(({ tensors: written }) =>
      written
        .filter(({ packed, rounding }) => !packed && rounding === undefined)
        .map(({ ne, ...conversion }) => ({ ...conversion, elements: elementCount(ne) })),
    ),
    hessians: tensors
      .filter(({ name }) => hessians?.modules.has(name))
      .map(({ name, shape }) => ({
        elements: elementCount(shape),
        columns: shape.at(-1)!,
        matrices: 1 + outputs.filter((output) => changesTensor(output, name)).length,
      })),
    threads,
    bytes: outputs.reduce((sum, { fileSize }) => sum + fileSize, sourceBytes),
  });
}

/** Whether weights become others, as far as types tell. */
function changesTensor({ tensors }: PlannedOutput, name: string): boolean {
  return tensors.some(
    ({ source, packed, type }) => source === name && !packed && ggmlType(type).blockSize > 1,
  );
}
