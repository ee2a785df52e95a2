// Writes statistics of made-up inputs, in the shapes of a model's: neighbouring columns go together, some columns are large. What GPTQ makes
// of them says nothing, but it takes as long as with others. X^T X is what infinitely many tokens would give, so that nothing is summed up.
import { forwardModel, linearInputs, planForward } from "@quern/models";
import { createStatisticsWriter, HISTOGRAM_BINS, planStatistics } from "@quern/statistics";

const TOKENS = 131_072;
const HELD_OUT = 256;
/** Of neighbouring columns. */
const CORRELATION = 0.9;
/** Elements of a triangle that are written at a time. */
const PIECE = 2 ** 22;

/** @param model Of `openLayeredModel`. */
export async function writeSyntheticStatistics({ description, checkpoint }, path) {
  const inputs = planForward(forwardModel(description)).blocks.flatMap((block, index) =>
    linearInputs(block).map((input) => ({ ...input, block: index, hessian: true, holdOutRows: HELD_OUT })),
  );
  const part = { sources: [{ name: "made up", windows: 1, tokens: TOKENS }], windows: 1, hash: "00" };
  const plan = planStatistics({
    model: {
      name: checkpoint.name,
      architecture: description.architecture,
      identity: "made up",
      tensors: description.tensors.map(({ name, shape }) => ({ name, shape })),
    },
    corpus: {
      rule: { kind: "stream", length: TOKENS },
      calibration: { ...part, tokens: TOKENS },
      holdOut: { ...part, tokens: HELD_OUT },
    },
    inputs,
    tool: "bench",
    options: {},
  });
  const writer = await createStatisticsWriter({ plan, path, force: true, restart: true });
  const bySize = new Map();
  for (const { name, columns, matrices } of inputs) {
    if (!bySize.has(columns)) bySize.set(columns, figuresOf(columns));
    const figures = bySize.get(columns);
    for (let matrix = 0; matrix < matrices; matrix++) {
      for (const [entry, values] of Object.entries(figures.entries)) {
        await writer.write({ input: name, entry, matrix, values });
      }
      await writeTriangle({ writer, input: name, matrix, sizes: figures.sizes });
    }
  }
  for (const block of new Set(inputs.map(({ block }) => block))) await writer.completeBlock(block);
  await writer.finish();
}

function figuresOf(columns) {
  const random = generator(columns);
  const sizes = Float64Array.from({ length: columns }, (_, i) => (i % 97 === 0 ? 8 : 1) * (0.5 + random()));
  const squares = (count) => Float32Array.from(sizes, (size) => count * size ** 2);
  const histogram = new Float64Array(HISTOGRAM_BINS);
  histogram[HISTOGRAM_BINS / 2] = TOKENS * columns;
  return {
    sizes,
    entries: {
      tokens: [TOKENS],
      sum: new Float32Array(columns),
      sumSquares: squares(TOKENS),
      // Of a normal distribution: E|x| = sqrt(2 / pi).
      sumAbs: Float32Array.from(sizes, (size) => TOKENS * size * Math.sqrt(2 / Math.PI)),
      absMax: Float32Array.from(sizes, (size) => 4.5 * size),
      histogram,
      holdOutTokens: [HELD_OUT],
      holdOutSumSquares: squares(HELD_OUT),
      holdOutRowCounts: [HELD_OUT],
      holdOutRows: heldOutRows(sizes, random),
    },
  };
}

/** Of an autoregressive process. */
function heldOutRows(sizes, random) {
  const n = sizes.length;
  const rows = new Float32Array(HELD_OUT * n);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  for (let row = 0; row < HELD_OUT; row++) {
    for (let column = 0, x = normal(); column < n; column++) {
      rows[row * n + column] = sizes[column] * x;
      x = CORRELATION * x + Math.sqrt(1 - CORRELATION ** 2) * normal();
    }
  }
  return rows;
}

async function writeTriangle({ writer, input, matrix, sizes }) {
  const powers = Float64Array.from(sizes, (_, distance) => CORRELATION ** distance);
  const piece = new Float32Array(PIECE + sizes.length);
  let start = 0;
  let filled = 0;
  for (const [row, size] of sizes.entries()) {
    for (let column = 0; column <= row; column++) {
      piece[filled++] = TOKENS * size * sizes[column] * powers[row - column];
    }
    if (filled < PIECE && row + 1 < sizes.length) continue;
    await writer.write({ input, entry: "hessian", matrix, start, values: piece.subarray(0, filled) });
    start += filled;
    filled = 0;
  }
}

/** Uniform in [0, 1), by a generator of Park and Miller (1988). */
function generator(seed) {
  let state = seed;
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
}
