// An importance matrix as llama-imatrix would collect it from our forward pass, if that rounded as llama.cpp does.
import { openModel } from "@quern/checkpoints/node";
import { collectWindows, ggufTokenizer } from "@quern/corpus";
import { openTextFiles } from "@quern/corpus/node";
import { withLlamaRoundings } from "./llama-rounding.mjs";
import { quernLogits } from "./quern-model.mjs";

/**
 * Sums of squares in tensors as `readMeans` of compare-importance.mjs gives them, for models of plain attention; undefined where
 * llama.cpp rounds nothing in another way than we do.
 *
 * @param params.path a GGUF file
 * @param params.context tokens of a chunk
 * @param params.chunks how many, all unless given
 */
export async function roundedImportance({ path, text, context, chunks, kernels }) {
  const rounded = withLlamaRoundings(kernels);
  const sums = new Map();
  for (const tokens of await windowsOf({ path, text, context, chunks })) {
    const observe = (input) => addSquares(sums, input);
    await quernLogits({ path, tokens, kernels: rounded.kernels, observe });
    if (!rounded.used()) return undefined;
  }
  return new Map([...sums].map(([name, matrices]) => [name, meansOf(matrices)]));
}

async function windowsOf({ path, text, context, chunks }) {
  const { name, metadata } = await openModel(path);
  const texts = await openTextFiles({ files: [{ path: text, weight: 1 }] });
  try {
    const { windows } = await collectWindows({
      sources: texts.sources,
      tokenizer: ggufTokenizer({ name, metadata }),
      rule: { kind: "stream", length: context },
      ...(chunks === undefined ? {} : { limit: chunks }),
    });
    return windows.map(({ tokens }) => [...tokens]);
  } finally {
    await texts.close();
  }
}

/** Of the layers that llama-imatrix looks at: those of blocks, and `output` (tools/imatrix/imatrix.cpp: `collect_imatrix`). */
function addSquares(sums, { module, input, rows, columns, matrix = 0 }) {
  if (!module.startsWith("blk.") && module !== "output") return;
  const name = `${module}.weight`;
  if (!sums.has(name)) sums.set(name, []);
  const matrices = sums.get(name);
  matrices[matrix] ??= { count: 0, squares: new Float64Array(columns) };
  matrices[matrix].count += rows;
  const { squares } = matrices[matrix];
  for (let index = 0; index < rows * columns; index++) squares[index % columns] += input[index] ** 2;
}

/** An expert that no token chose leaves a hole. */
function meansOf(matrices) {
  const columns = matrices.find((matrix) => matrix !== undefined).squares.length;
  const all = Array.from(matrices, (matrix) => matrix ?? { count: 0, squares: new Float64Array(columns) });
  return {
    counts: all.map(({ count }) => count),
    means: all.flatMap(({ count, squares }) => Array.from(squares, (square) => square / Math.max(1, count))),
  };
}
