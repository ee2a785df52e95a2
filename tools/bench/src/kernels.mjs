// Our kernels against ggml's, one thread, on the same weights in one process:
//   node tools/bench/src/kernels.mjs [--types Q4_K,Q6_K] [--weights 16777216] [--rounds 7] [--sources F32,BF16] [--all-isas]
// Needs the packages built. Every round measures ggml and each of our instruction sets in turn; a ratio is the median of the
// rounds' ratios, and all bytes are compared. Times are processor time, so that other work on the machine disturbs them less.
//
// ggml quantizes float32 only: from BF16 sources its time includes ggml_bf16_to_fp32_row, over the whole matrix before any of it
// is quantized, as llama-quantize does it. By default the matrix is one of a large model, whose float32 no cache holds. Types for
// which ggml needs long get fewer rows, since the size makes no difference to them.
import { availableParallelism, cpus } from "node:os";
import { parseArgs } from "node:util";
import { kernelInfo, loadKernels } from "@quern/kernels";
import { TYPES, openGgml } from "./ggml.mjs";
import { median, measureRates, medianRatio, processorTime } from "./timing.mjs";

const COLUMNS = 4096;
/** Milliseconds for which ggml may work on a matrix. */
const LONGEST = 250;
/** Rows that tell how fast ggml is. */
const SAMPLE_ROWS = 16;

const { values: options } = parseArgs({
  options: {
    types: { type: "string", default: Object.keys(TYPES).join(",") },
    weights: { type: "string", default: String(1 << 24) },
    rounds: { type: "string", default: "7" },
    sources: { type: "string", default: "F32,BF16" },
    "all-isas": { type: "boolean", default: false },
  },
});
const mostRows = Math.ceil(Number(options.weights) / COLUMNS);
const rounds = Number(options.rounds);

const ggml = openGgml();
const kernels = await openKernels();
const data = makeWeights();

console.log(`${cpus()[0].model}, ${availableParallelism()} cores, Node ${process.version}`);
console.log(`Rows of ${COLUMNS}, one thread, ${rounds} rounds; million weights per second of processor time`);
const columns = [
  "type",
  "importance",
  "source",
  "rows",
  "ggml",
  ...kernels.map(({ info }) => `${info.backend} ${info.isa}`),
];
const widths = [7, 10, 6, 5, 6, ...kernels.map(() => 17)];
printRow(columns);
let differing = 0;
for (const type of options.types.split(",")) {
  if (!TYPES[type]) throw new Error(`no type ${type}; there are ${Object.keys(TYPES).join(", ")}`);
  for (const weighted of TYPES[type].importance) {
    for (const source of options.sources.split(",")) compare(type, source, weighted);
  }
}
if (differing > 0) {
  console.error(`${differing} measured kernels did not give the bytes of ggml.`);
  process.exitCode = 1;
}

function compare(type, source, weighted) {
  const importance = weighted ? data.importance : undefined;
  const expected = new Uint8Array(ggml.rowSize(TYPES[type].number, COLUMNS) * mostRows);
  const runGgml = (rows) => {
    if (source === "BF16") ggml.widen(data.bf16, data.widened, rows * COLUMNS);
    const floats = source === "BF16" ? data.widened : data.f32;
    ggml.quantize(TYPES[type].number, floats, expected, 0, rows, COLUMNS, importance ?? null);
  };
  const sampleTime = Math.min(
    ...Array.from({ length: 5 }, () => processorTime(() => runGgml(SAMPLE_ROWS), 1)),
  );
  const rows = Math.min(mostRows, Math.max(SAMPLE_ROWS, Math.floor((LONGEST / sampleTime) * SAMPLE_ROWS)));
  const count = rows * COLUMNS;
  const targetSize = ggml.rowSize(TYPES[type].number, COLUMNS) * rows;

  const contenders = [() => runGgml(rows)];
  const targets = kernels.map((kernel) => {
    const target = new Uint8Array(targetSize);
    const elements = (source === "BF16" ? data.bf16 : data.f32).subarray(0, count);
    const bytes = new Uint8Array(elements.buffer, 0, elements.byteLength);
    const params = { type, sourceType: source, source: bytes, target, rows, columns: COLUMNS, importance };
    contenders.push(() => {
      if (kernel.quantize(params) !== undefined) throw new Error(`${type}: refused sound weights`);
    });
    return target;
  });

  const rates = measureRates(contenders, count, rounds);
  const cells = kernels.map((_, index) => {
    const ratio = medianRatio(rates[index + 1], rates[0]);
    const equal = Buffer.compare(expected.subarray(0, targetSize), targets[index]) === 0;
    if (!equal) differing++;
    return `${median(rates[index + 1]).toFixed(0)}  ${ratio.toFixed(2)}x${equal ? "" : " DIFFERS"}`;
  });
  printRow([type, weighted ? "yes" : "no", source, `${rows}`, median(rates[0]).toFixed(1), ...cells]);
}

function printRow(cells) {
  console.log(cells.map((cell, i) => (i < 3 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join("  "));
}

async function openKernels() {
  const reports = await kernelInfo();
  const wanted = reports.flatMap(({ backend, isas }) =>
    (options["all-isas"] ? isas : isas.slice(-1)).map((isa) => ({ backend, isa })),
  );
  return Promise.all(wanted.map((wish) => loadKernels(wish)));
}

/** Gaussian with sigma 0.02 and a few columns twenty times as wide; log-normal importance. */
function makeWeights() {
  const scale = Float32Array.from({ length: COLUMNS }, (_, column) => (column % 500 === 7 ? 0.4 : 0.02));
  const count = mostRows * COLUMNS;
  const f32 = Float32Array.from({ length: count }, (_, i) => gaussian() * scale[i % COLUMNS]);
  const bf16 = Uint16Array.from(new Uint32Array(f32.buffer), (bits) => bits >>> 16);
  const importance = Float32Array.from({ length: COLUMNS }, () => Math.exp(gaussian()));
  return { f32, bf16, widened: new Float32Array(count), importance };
}

function gaussian() {
  return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
}
