// Statistics of made-up inputs, whose columns have different sizes and go together, for tests of what uses them.
import { loadKernels, type MathKernels } from "@quern/kernels";
import { forwardModel, linearInputs, type LinearInputs, planForward } from "@quern/models";
import {
  createStatisticsWriter,
  HISTOGRAM_BINS,
  openStatistics,
  planStatistics,
  type Statistics,
  type StatisticsInput,
} from "@quern/statistics";
import type { LayeredModel } from "../linear-layers.ts";

const HELD_OUT = 48;

export interface RandomStatisticsParams {
  readonly model: LayeredModel;
  /** Of the file. */
  readonly path: string;
  /** @default 1024 */
  readonly tokens?: number;
  /** @default true */
  readonly hessians?: boolean;
  /** @default true */
  readonly holdOut?: boolean;
  /** Whether windows of what attention reads are kept whole. @default false */
  readonly windows?: boolean;
  /** Name of inputs that are left out. @default none */
  readonly without?: string;
  /** Changes what some inputs are, tokens x columns. */
  readonly edit?: (values: Float32Array, columns: number) => void;
}

const WINDOWS = { rows: 40, starts: [0, 24] };

/** Writes and opens a statistics file of all linear layers of the blocks of a model. */
export async function randomStatistics(params: RandomStatisticsParams): Promise<Statistics> {
  const { model, path, tokens = 1024, hessians = true, holdOut = true, windows = false, edit } = params;
  const { description, checkpoint } = model;
  const { math } = await loadKernels();
  const all = planForward(forwardModel(description)).blocks.flatMap((block, index) =>
    linearInputs(block).map((input, place): StatisticsInput => ({
      ...input,
      block: index,
      hessian: hessians,
      holdOutRows: holdOut ? HELD_OUT : 0,
      ...(windows && place === 0 && { windows: WINDOWS }),
    })),
  );
  const inputs = all.filter(({ name }) => name !== params.without);
  const summary = { sources: [{ name: "made up", windows: 1, tokens }], windows: 1, tokens, hash: "00" };
  const plan = planStatistics({
    model: {
      name: checkpoint.name,
      architecture: description.architecture,
      identity: "made up",
      tensors: description.tensors.map(({ name, shape }) => ({ name, shape })),
    },
    corpus: {
      rule: { kind: "stream", length: tokens },
      calibration: summary,
      ...(holdOut && { holdOut: { ...summary, tokens: HELD_OUT } }),
    },
    inputs,
    tool: "tests",
    options: {},
  });
  const writer = await createStatisticsWriter({ plan, path });
  for (const [index, input] of inputs.entries()) {
    const sums = Array.from({ length: input.matrices }, (_, matrix) =>
      sumsOf(input, { seed: 31 * index + matrix, tokens, math, ...(edit && { edit }) }),
    );
    const write = (
      entry: Parameters<typeof writer.write>[0]["entry"],
      parts: readonly ArrayLike<number>[],
    ): Promise<void> =>
      writer.write({ input: input.name, entry, values: parts.flatMap((part) => Array.from(part)) });
    await write("tokens", [sums.map(() => tokens)]);
    await write(
      "sum",
      sums.map(({ sum }) => sum),
    );
    await write(
      "sumSquares",
      sums.map(({ squares }) => squares),
    );
    await write(
      "sumAbs",
      sums.map(({ magnitudes }) => magnitudes),
    );
    await write(
      "absMax",
      sums.map(({ largest }) => largest),
    );
    await write(
      "histogram",
      sums.map(() => histogram(tokens * input.columns)),
    );
    if (hessians)
      await write(
        "hessian",
        sums.map(({ triangle }) => triangle),
      );
    if (!holdOut) continue;
    await write("holdOutTokens", [sums.map(() => HELD_OUT)]);
    await write(
      "holdOutSumSquares",
      sums.map(({ heldSquares }) => heldSquares),
    );
    await write("holdOutRowCounts", [sums.map(() => HELD_OUT)]);
    await write(
      "holdOutRows",
      sums.map(({ held }) => held),
    );
    if (input.windows === undefined) continue;
    const { held } = sumsOf(input, { seed: 31 * index + 7, tokens: 1, math });
    await write("windowRows", [held.subarray(0, WINDOWS.rows * input.columns)]);
  }
  for (const block of new Set(inputs.map((input) => input.block))) await writer.completeBlock(block);
  await writer.finish();
  return openStatistics(path);
}

interface Sums {
  readonly sum: Float32Array;
  readonly squares: Float32Array;
  readonly magnitudes: Float32Array;
  readonly largest: Float32Array;
  readonly triangle: Float32Array;
  readonly held: Float32Array;
  readonly heldSquares: Float32Array;
}

function sumsOf(
  { columns: n }: Pick<LinearInputs, "columns">,
  {
    seed,
    tokens,
    math,
    edit,
  }: { readonly seed: number; readonly tokens: number; readonly math: MathKernels } & Pick<
    RandomStatisticsParams,
    "edit"
  >,
): Sums {
  const random = randomNumbers(seed);
  const mixing = Float32Array.from({ length: n * 4 }, random);
  const sizes = Float32Array.from(
    { length: n },
    (_, column) => (column % 17 === 0 ? 6 : 1) * Math.exp(random() / 2),
  );
  const inputsOf = (count: number): Float32Array => {
    const x = new Float32Array(count * n);
    for (let token = 0; token < count; token++) {
      const common = [random(), random(), random(), random()];
      for (let column = 0; column < n; column++) {
        const shared = common.reduce((sum, value, i) => sum + value * mixing[column * 4 + i]!, 0);
        x[token * n + column] = sizes[column]! * (0.1 + random() + shared);
      }
    }
    edit?.(x, n);
    return x;
  };
  const x = inputsOf(tokens);
  const held = inputsOf(HELD_OUT);
  const over = (values: Float32Array, add: (sum: number, value: number) => number): Float32Array => {
    const sums = new Float64Array(n);
    for (let i = 0; i < values.length; i++) sums[i % n] = add(sums[i % n]!, values[i]!);
    return Float32Array.from(sums);
  };
  const h = new Float64Array(n * n);
  math.syrk({ x, tokens, n, h });
  const triangle = new Float32Array((n * (n + 1)) / 2);
  for (let row = 0, i = 0; row < n; row++) {
    for (let column = 0; column <= row; column++) triangle[i++] = h[row * n + column]!;
  }
  return {
    sum: over(x, (sum, value) => sum + value),
    squares: over(x, (sum, value) => sum + value * value),
    magnitudes: over(x, (sum, value) => sum + Math.abs(value)),
    largest: over(x, (most, value) => Math.max(most, Math.abs(value))),
    triangle,
    held,
    heldSquares: over(held, (sum, value) => sum + value * value),
  };
}

/** All in one bin: nothing here looks at it. */
function histogram(count: number): Float64Array {
  const counts = new Float64Array(HISTOGRAM_BINS);
  counts[1280] = count;
  return counts;
}

/** About normal, mean 0 and variance 1. */
function randomNumbers(seed: number): () => number {
  let state = (seed * 2_654_435_761 + 12_345) >>> 0 || 1;
  const next = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  return () => next() + next() + next() + next() - 2;
}
