import { concatenate } from "../expressions/operations/concatenate.ts";
import { permute } from "../expressions/operations/permute.ts";
import { reshape } from "../expressions/operations/reshape.ts";
import { slice } from "../expressions/operations/slice.ts";
import type { TensorExpression } from "../expressions/expression.ts";
import type { SourceTensor, TensorRecipe } from "./architecture.ts";
import type { Config } from "./config.ts";

type Make = NonNullable<TensorRecipe["make"]>;

/**
 * Q and K of Llama: transformers rotates the first half of a head's rows with the second, llama.cpp even rows with odd ones,
 * so that row (half, pair) of each head goes to (pair, half) (conversion/llama.py, `permute`).
 *
 * @param heads Number of heads that the projection has.
 */
export function interleaveHeadHalves(heads: (config: Config) => number): Make {
  return ([tensor], { config }) => regroup(tensor!, { sizes: [heads(config), 2], order: [0, 2, 1] });
}

/** Fused QKV with Q, K and V side by side in each head, parted into all Q, all K and all V (conversion/gptneox.py). */
export function separateQkvOfHeads(heads: (config: Config) => number): Make {
  return ([tensor], { config }) => regroup(tensor!, { sizes: [heads(config), 3], order: [1, 0, 2] });
}

/**
 * Fused QKV in groups of some query heads, a key head and a value head, parted into all Q, all K and all V
 * (conversion/falcon.py).
 */
export function separateQkvOfGroups(params: {
  heads: (config: Config) => number;
  groups: (config: Config) => number;
}): Make {
  return ([tensor], { config }) => {
    const { expression, shape } = tensor!;
    const groups = params.groups(config);
    const queries = params.heads(config) / groups;
    const [rows = 0, ...columns] = shape;
    const dimension = rows / (groups * (queries + 2));
    const grouped = reshape(expression, [groups, queries + 2, dimension, ...rowWidth(columns)]);
    const part = (start: number, stop: number): TensorExpression =>
      reshape(slice(grouped, { axis: 1, start, stop }), [
        groups * (stop - start) * dimension,
        ...rowWidth(columns),
      ]);
    const parts = [part(0, queries), part(queries, queries + 1), part(queries + 1, queries + 2)];
    return reshape(concatenate(parts), shape);
  };
}

/** Rows split into axes of the given sizes and one for the rest, and these axes put in another order. */
function regroup(
  { expression, shape }: SourceTensor,
  { sizes, order }: { sizes: readonly number[]; order: readonly number[] },
): TensorExpression {
  const [rows = 0, ...columns] = shape;
  const rest = sizes.reduce((quotient, size) => quotient / size, rows);
  const axes = [...sizes, rest, ...rowWidth(columns)];
  return reshape(permute(reshape(expression, axes), [...order, order.length]), shape);
}

/** The one last axis that rows keep while they move: a bias has rows of one element. */
function rowWidth(columns: readonly number[]): readonly [number] {
  return [columns.reduce((product, size) => product * size, 1)];
}
