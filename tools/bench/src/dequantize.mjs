// How fast our kernels make F32 of every type, against ggml's `to_float`, one thread, on the same blocks in one process:
//   node tools/bench/src/dequantize.mjs [--types Q4_K,IQ3_S] [--rows 128] [--rounds 7]
// Needs the packages built. Every round measures ggml and each of our instruction sets in turn; a ratio is the median of the
// rounds' ratios, and all values are compared. By default a cache holds the matrix, as it does where products dequantize theirs.
import { availableParallelism, cpus } from "node:os";
import { parseArgs } from "node:util";
import { kernelInfo, loadKernels } from "@quern/kernels";
import { TYPES, openGgml } from "./ggml.mjs";
import { measureRates, median, medianRatio } from "./timing.mjs";

const COLUMNS = 4096;

const { values: options } = parseArgs({
  options: {
    types: { type: "string", default: Object.keys(TYPES).join(",") },
    rows: { type: "string", default: "128" },
    rounds: { type: "string", default: "7" },
  },
});
const rows = Number(options.rows);
const rounds = Number(options.rounds);
const count = rows * COLUMNS;

const ggml = openGgml();
const reports = await kernelInfo();
const choices = reports.flatMap(({ backend, isas }) => isas.map((isa) => ({ backend, isa })));
const kernels = await Promise.all(choices.map((choice) => loadKernels(choice)));
const weights = Float32Array.from({ length: count }, () => (Math.random() + Math.random() - 1) / 20);
const importance = new Float32Array(COLUMNS).fill(1);

console.log(`${cpus()[0].model}, ${availableParallelism()} cores, Node ${process.version}`);
console.log(
  `${rows} rows of ${COLUMNS}, one thread, ${rounds} rounds; million weights per second of processor time`,
);
printRow(["type", "ggml", ...kernels.map(({ info }) => `${info.backend} ${info.isa}`)]);
let differing = 0;
for (const type of options.types.split(",")) {
  if (!TYPES[type]) throw new Error(`no type ${type}; there are ${Object.keys(TYPES).join(", ")}`);
  compare(type);
}
if (differing > 0) {
  console.error(`${differing} measured kernels did not give the values of ggml.`);
  process.exitCode = 1;
}

function compare(type) {
  const shape = { type, rows, columns: COLUMNS };
  const blocks = new Uint8Array(ggml.rowSize(TYPES[type].number, COLUMNS) * rows);
  const source = new Uint8Array(weights.buffer);
  kernels[0].quantize({ ...shape, sourceType: "F32", source, target: blocks, importance });

  const toFloat = ggml.dequantize(type);
  const expected = new Float32Array(count);
  const targets = kernels.map(() => new Float32Array(count));
  const runs = kernels.map(
    (kernel, i) => () => kernel.dequantize({ ...shape, source: blocks, target: targets[i] }),
  );
  const rates = measureRates([() => toFloat(blocks, expected, count), ...runs], count, rounds);
  const cells = targets.map((target, i) => {
    const ratio = medianRatio(rates[i + 1], rates[0]);
    const equal = Buffer.compare(new Uint8Array(expected.buffer), new Uint8Array(target.buffer)) === 0;
    if (!equal) differing++;
    return `${median(rates[i + 1]).toFixed(0)}  ${ratio.toFixed(2)}x${equal ? "" : " DIFFERS"}`;
  });
  printRow([type, median(rates[0]).toFixed(0), ...cells]);
}

function printRow([type, reference, ...cells]) {
  console.log([type.padEnd(8), reference.padStart(6), ...cells.map((cell) => cell.padStart(17))].join("  "));
}
