import type { ModelTensor } from "@quern/models";
import { type Importance, openStatistics } from "@quern/statistics";
import { elementCount } from "@quern/tensor";

/** What errors of outputs are measured with. */
export interface PlannedHessians {
  /** Path of the statistics file. */
  readonly path: string;
  /** By GGUF name of a tensor, the module whose Hessian its layer has. */
  readonly modules: ReadonlyMap<string, string>;
}

/**
 * Looks for the Hessians of layers in the statistics file that importance weights come from.
 *
 * @returns undefined where there is no such file, or none in it
 * @throws QuernError what `openStatistics` throws
 */
export async function findHessians(
  importance: Importance | undefined,
  tensors: readonly ModelTensor[],
): Promise<PlannedHessians | undefined> {
  const path = importance?.statistics;
  if (path === undefined) return undefined;
  const statistics = await openStatistics(path, { name: importance!.file });
  try {
    const collected = new Map(
      statistics.inputs
        .filter(({ hessian }) => hessian)
        .flatMap((input) => input.modules.map((module) => [`${module}.weight`, { module, ...input }])),
    );
    const modules = tensors.flatMap(({ name, shape }): [string, string][] => {
      const input = collected.get(name);
      const [columns = 1, rows = 1] = [shape.at(-1), shape.at(-2)];
      const matrices = elementCount(shape) / (columns * rows);
      return input?.columns === columns && input.matrices === matrices ? [[name, input.module]] : [];
    });
    return modules.length === 0 ? undefined : { path, modules: new Map(modules) };
  } finally {
    await statistics.close();
  }
}
