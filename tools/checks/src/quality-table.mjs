// What formats and roundings cost models, as the table of README has it: every row is `quern convert`, and `quern eval` of what it wrote.
//   node tools/checks/src/quality-table.mjs --calibrate FILE [--tokens 32768] [--windows 72] [--rows REGEX] --texts FILE,FILE <model> ...
// Needs the packages built. One statistics file serves all rows of a model. Embeddings and output stay as they are. The bits are those of the
// layers that are quantized, from the sizes of files.
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { ROWS } from "./quality/table-rows.mjs";

const run = promisify(execFile);
const quern = fileURLToPath(new URL("../../../apps/converter/bin/quern.js", import.meta.url));

const { values: options, positionals: models } = parseArgs({
  allowPositionals: true,
  options: {
    calibrate: { type: "string" },
    texts: { type: "string" },
    tokens: { type: "string", default: "32768" },
    windows: { type: "string", default: "72" },
    rows: { type: "string", default: "." },
  },
});
if (models.length === 0 || options.calibrate === undefined || options.texts === undefined) {
  throw new Error(
    "name models, with --texts those to compare them on, and with --calibrate one to calibrate with",
  );
}
const wanted = new RegExp(options.rows);
const folder = await mkdtemp(join(tmpdir(), "quality-"));
try {
  const prepared = [];
  for (const model of models) prepared.push(await prepare(model));
  console.log(
    `Calibrated on ${options.tokens} tokens; ${options.windows} windows of ${basename(options.texts)} and its like.`,
  );
  console.log(`| | bits | ${prepared.map(({ name }) => `${name}: mean KLD | perplexity`).join(" | ")} |`);
  console.log(`| --- | ---: |${" ---: | ---: |".repeat(prepared.length)}`);
  for (const row of ROWS.filter(({ name }) => wanted.test(name))) {
    const results = [];
    for (const model of prepared) results.push(await measure(row, model));
    const cells = results.flatMap(({ divergence, ratio }) => [
      divergence.toFixed(5),
      `${ratio < 1 ? "" : "+"}${(100 * (ratio - 1)).toFixed(2)} %`,
    ]);
    console.log(`| ${row.name} | ${results[0].bits.toFixed(2)} | ${cells.join(" | ")} |`);
  }
} finally {
  await rm(folder, { recursive: true });
}

async function prepare(model) {
  const name = basename(model);
  const statistics = join(folder, `${name}-statistics.safetensors`);
  await run(process.execPath, [
    quern,
    "calibrate",
    model,
    "--quiet",
    "--data",
    options.calibrate,
    "--tokens",
    options.tokens,
    "--output",
    statistics,
  ]);
  return { name, model, statistics };
}

async function measure(row, { model, statistics }) {
  const output = join(folder, row.recipe === undefined ? "output.gguf" : "output");
  const recipe = join(folder, "recipe.yaml");
  if (row.recipe !== undefined) await writeFile(recipe, row.recipe);
  const converted = await lines([
    "convert",
    model,
    "--json",
    "--force",
    "--output",
    output,
    ...(row.recipe === undefined ? row.arguments : ["--recipe", recipe]),
    ...(row.statistics === undefined ? [] : [row.statistics, statistics]),
  ]);
  const texts = options.texts.split(",");
  const evaluated = await lines([
    "eval",
    output,
    "--against",
    model,
    "--json",
    "--windows",
    options.windows,
    "--data",
    ...texts,
  ]);
  await rm(output, { recursive: true });
  const { comparison } = evaluated.findLast(({ type }) => type === "result").total;
  return {
    bits: bitsOf(converted.find(({ type }) => type === "plan")),
    divergence: comparison.divergence.mean.value,
    ratio: comparison.perplexityRatio.value,
  };
}

/** Of the weights that are quantized: of GGUF all but those in 16 and 32 bits; what other tensors of a checkpoint take is subtracted. */
function bitsOf(plan) {
  if (plan.container === undefined) {
    const quantized = plan.outputs[0].tensors.filter(({ type }) => !["F32", "BF16"].includes(type));
    const sum = (term) => quantized.reduce((total, tensor) => total + term(tensor), 0);
    return (8 * sum(({ size }) => size)) / sum(({ ne }) => ne.reduce((product, length) => product * length));
  }
  const weights = plan.layers.reduce(
    (total, { rows, columns, format }) => total + (format ? rows * columns : 0),
    0,
  );
  return (8 * (plan.fileSize - 2 * (plan.parameters - weights))) / weights;
}

/** What a command says in JSON. */
async function lines(commandLine) {
  const { stdout } = await run(process.execPath, [quern, ...commandLine], { maxBuffer: 2 ** 28 });
  return stdout
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}
