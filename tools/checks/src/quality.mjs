// How much of a model is lost when the linear layers of its blocks are quantized, by type and method: mean divergence from the model as it
// is, and perplexity, on texts that calibration has not seen.
//   node tools/checks/src/quality.mjs --calibrate FILE [--tokens 32768] [--windows 24] [--threads 2] [--methods 'Q4_K'] [--more FILE.json]
//     <model> <text> ...
// Needs the packages built. Embeddings and output stay as they are; --more has methods like those of quality/methods.mjs.
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { parseArgs } from "node:util";
import { closeThreads, runTasks, startThreads } from "@quern/threads";
import { METHODS } from "./quality/methods.mjs";
import { openQualityModel, shared } from "./quality/quality-model.mjs";
import { createService } from "./quality/quality-service.mjs";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    calibrate: { type: "string" },
    tokens: { type: "string", default: "32768" },
    windows: { type: "string", default: "24" },
    threads: { type: "string", default: "2" },
    methods: { type: "string", default: "." },
    more: { type: "string" },
  },
});
const [folder, ...texts] = positionals;
if (folder === undefined || texts.length === 0 || options.calibrate === undefined) {
  throw new Error("name a model, texts to compare it on, and with --calibrate one to calibrate with");
}

const model = await openQualityModel(folder);
const { graph, parameters, groups } = model;
const threads = await startThreads({
  count: Number(options.threads),
  createService,
  module: () => new URL("./quality/quality-service.mjs", import.meta.url),
  options: { graph, parameters, groups },
});
try {
  await main();
} finally {
  await closeThreads(threads);
}

async function main() {
  const calibration = await model.windows(options.calibrate, Number(options.tokens) / 256, { spread: true });
  const windows = (
    await Promise.all(texts.map((text) => model.windows(text, Number(options.windows))))
  ).flat();
  const statistics = await collect(calibration);
  const compared = await reference(windows);
  console.log(
    `${basename(folder)}: ${256 * calibration.length} tokens for calibration, ${compared.length} windows compared; ${threads[0].description}`,
  );
  row("method", "mean KLD", "perplexity", "of the model", "output error", "rounding s", "all s");
  const more = options.more === undefined ? {} : JSON.parse(await readFile(options.more, "utf8"));
  for (const [name, method] of Object.entries({ ...METHODS, ...more })) {
    if (!new RegExp(options.methods).test(name) && !(name in more)) continue;
    await measure({ name, method, statistics, compared });
  }
}

async function collect(calibration) {
  await run(calibration.map((tokens) => ({ kind: "observe", tokens })));
  const all = new Map();
  for (const thread of threads) {
    for (const [name, part] of await thread.run({ kind: "statistics" }, 0))
      all.set(name, added(all.get(name), part));
  }
  for (const { matrix } of all.values()) mirror(matrix);
  return all;
}

function added(sum, part) {
  if (sum === undefined) return part;
  part.matrix.forEach((value, i) => (sum.matrix[i] += value));
  part.magnitudes.forEach((value, i) => (sum.magnitudes[i] += value));
  part.largest.forEach((value, i) => (sum.largest[i] = Math.max(sum.largest[i], value)));
  sum.tokens += part.tokens;
  return sum;
}

function mirror(matrix) {
  const n = Math.sqrt(matrix.length);
  const lowerIsEmpty = n > 1 && matrix[n] === 0;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < i; j++) {
      if (lowerIsEmpty) matrix[i * n + j] = matrix[j * n + i];
      else matrix[j * n + i] = matrix[i * n + j];
    }
  }
}

async function reference(windows) {
  const compared = windows.map((tokens) => ({
    tokens,
    reference: shared(tokens.length * graph.embedding.tokens),
  }));
  await run(compared.map(({ tokens, reference: target }) => ({ kind: "reference", tokens, target })));
  return compared;
}

async function measure({ name, method, statistics, compared }) {
  const start = performance.now();
  const weights = new Map();
  for (const { modules } of groups.values()) {
    for (const module of modules) {
      const { shape } = parameters.get(`${module}.weight`);
      weights.set(`${module}.weight`, { type: "F32", shape, data: shared(shape[0] * shape[1]) });
    }
  }
  const errors = [];
  await run(
    // The longest first.
    [...groups.values()]
      .toSorted((a, b) => b.columns - a.columns)
      .map(({ name: group, modules }) => ({
        kind: "round",
        group,
        modules,
        method,
        statistics: statistics.get(group),
        targets: new Map(modules.map((module) => [module, weights.get(`${module}.weight`).data])),
      })),
    (_, result) => errors.push(...result.errors),
  );
  const rounded = performance.now();
  const total = { positions: 0, divergence: 0, surprise: 0, known: 0 };
  await run(
    compared.map((window) => ({ kind: "compare", ...window, weights })),
    (_, result) => {
      for (const key of Object.keys(total)) total[key] += result[key];
    },
  );
  const { positions, divergence, surprise, known } = total;
  row(
    name,
    (divergence / positions).toFixed(6),
    Math.exp(surprise / positions).toFixed(4),
    Math.exp(known / positions).toFixed(4),
    (errors.reduce((sum, error) => sum + error, 0) / errors.length).toExponential(3),
    ((rounded - start) / 1000).toFixed(1),
    ((performance.now() - start) / 1000).toFixed(1),
  );
}

function run(tasks, onDone = () => {}) {
  return runTasks({ tasks, threads, onDone });
}

function row(name, ...cells) {
  console.log(`${name.padEnd(44)}${cells.map((cell) => cell.padStart(14)).join("")}`);
}
