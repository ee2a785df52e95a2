import { openParameters, type RunnableModel } from "@quern/inference";
import { loadKernels } from "@quern/kernels";
import { embedTokens, evaluateBlock, type LinearInput, outputLogits } from "@quern/models";
import type { CalibrationWindows } from "../planning/calibration-windows.ts";

/** Rows of each matrix that a module reads, by calibration and hold-out. */
export type ReadRows = Map<string, { fitted: number[][]; held: number[][] }>;

/** What all modules read, computed without threads, batches and sums. */
export async function readDirectly({
  model,
  windows,
}: {
  model: RunnableModel;
  windows: CalibrationWindows;
}): Promise<ReadRows> {
  const kernels = await loadKernels();
  const source = openParameters(model);
  const { embedding, blocks, output: last } = model.graph;
  const names = [embedding, ...blocks, last].flatMap(({ tensors }) => tensors);
  const parameters = await source.load(names);
  await source.close();
  const rows: ReadRows = new Map();
  for (const part of ["fitted", "held"] as const) {
    const { windows: all } = part === "fitted" ? windows.calibration : (windows.holdOut ?? { windows: [] });
    const observe = ({ module, matrix = 0, input, columns, rows: count }: LinearInput): void => {
      const key = `${module} ${matrix}`;
      const own = rows.get(key) ?? { fitted: [], held: [] };
      rows.set(key, own);
      for (let row = 0; row < count; row++)
        own[part].push([...input.subarray(row * columns, (row + 1) * columns)]);
    };
    for (const { tokens, starts } of all) {
      let hidden = embedTokens({ graph: embedding, evaluation: { kernels, parameters }, tokens, starts });
      const evaluation = { kernels, parameters, observe };
      for (const graph of blocks) {
        hidden = evaluateBlock({ graph, evaluation, hidden, tokens: tokens.length, starts });
      }
      if (last.projection !== undefined)
        outputLogits({ graph: last, evaluation, hidden, rows: tokens.length });
    }
  }
  return rows;
}
