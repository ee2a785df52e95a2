// What measuring errors costs beside quantizing, one thread, in nanoseconds per weight:
//   node tools/bench/src/measure.mjs [--types Q4_K,Q8_0] [--source BF16] [--rows 64] [--rounds 7] [--importance]
// Needs the packages built. Every round quantizes and measures with each instruction set in turn; figures are medians.
import { availableParallelism, cpus } from "node:os";
import { parseArgs } from "node:util";
import { kernelInfo, loadKernels } from "@quern/kernels";
import { TYPES, openGgml } from "./ggml.mjs";
import { measureRates, median } from "./timing.mjs";

const COLUMNS = 4096;

const { values: options } = parseArgs({
  options: {
    types: { type: "string", default: "Q8_0,Q4_0,Q6_K,Q5_K,Q4_K,Q3_K,Q2_K,IQ4_XS,IQ3_S" },
    source: { type: "string", default: "BF16" },
    rows: { type: "string", default: "64" },
    rounds: { type: "string", default: "7" },
    importance: { type: "boolean", default: false },
  },
});
const rows = Number(options.rows);
const count = rows * COLUMNS;
const sourceType = options.source;

const ggml = openGgml();
const reports = await kernelInfo();
const choices = reports.flatMap(({ backend, isas }) => isas.map((isa) => ({ backend, isa })));
const kernels = await Promise.all(choices.map((choice) => loadKernels(choice)));
const weights = Float32Array.from({ length: count }, () => (Math.random() + Math.random() - 1) / 20);
const importance = options.importance ? new Float32Array(COLUMNS).map(() => Math.random()) : undefined;
const source = new Uint8Array(ggml.rowSize(TYPES[sourceType]?.number ?? 0, COLUMNS) * rows);
const shape = { rows, columns: COLUMNS };
kernels[0].quantize({
  ...shape,
  type: sourceType,
  sourceType: "F32",
  source: new Uint8Array(weights.buffer),
  target: source,
});

console.log(`${cpus()[0].model}, ${availableParallelism()} cores, Node ${process.version}`);
console.log(
  `${rows} rows of ${COLUMNS} from ${sourceType}, ${options.rounds} rounds; ns per weight: quantize + measure (share)`,
);
console.log(
  ["type", ...kernels.map(({ info }) => `${info.backend} ${info.isa}`)]
    .map((cell) => cell.padEnd(26))
    .join(""),
);
for (const type of options.types.split(",")) {
  const quantized = new Uint8Array(ggml.rowSize(TYPES[type].number, COLUMNS) * rows);
  const runs = kernels.flatMap((kernel) => [
    () => kernel.quantize({ ...shape, type, sourceType, source, target: quantized, importance }),
    () => kernel.measureError({ ...shape, type, sourceType, source, quantized, importance }),
  ]);
  const nanoseconds = measureRates(runs, count, Number(options.rounds)).map((rates) => 1e3 / median(rates));
  const cells = kernels.map((_, i) => {
    const [quantize, measure] = nanoseconds.slice(2 * i);
    return `${quantize.toFixed(2)} + ${measure.toFixed(2)} (${Math.round((100 * measure) / quantize)} %)`;
  });
  console.log([type, ...cells].map((cell) => cell.padEnd(26)).join(""));
}
