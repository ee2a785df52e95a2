// What formats and roundings cost models, as the table of README has it: every row is `quern convert`, and `quern eval` of what it wrote.
//   node tools/checks/src/quality-table.mjs --figures FILE.json [--readme README.md] [--rows REGEX]
//     [--calibrate FILE --texts FILE,FILE [--tokens 32768] [--windows 72] [--statistics FOLDER] <model> ...]
// With models it measures the rows that match, and keeps their figures in FILE.json, each with the commit that it was measured on: rows
// that are not measured anew stay. Then it prints the whole table, and puts it into --readme. Needs the packages built. One statistics
// file serves all rows of a model; --statistics keeps it for the next run. Embeddings and output stay as they are. The bits are those of
// the layers that are quantized, from the sizes of files.
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { putTable, tableLines } from "./quality/table-lines.mjs";
import { ROWS } from "./quality/table-rows.mjs";

const run = promisify(execFile);
const quern = fileURLToPath(new URL("../../../apps/converter/bin/quern.js", import.meta.url));

const { values: options, positionals: models } = parseArgs({
  allowPositionals: true,
  options: {
    figures: { type: "string" },
    readme: { type: "string" },
    calibrate: { type: "string" },
    texts: { type: "string" },
    tokens: { type: "string", default: "32768" },
    windows: { type: "string", default: "72" },
    statistics: { type: "string" },
    rows: { type: "string", default: "." },
  },
});
const { figures: file } = options;
if (file === undefined) throw new Error("name the file of the figures with --figures");
if (models.length > 0 && (options.calibrate === undefined || options.texts === undefined)) {
  throw new Error("models need --texts to compare them on, and with --calibrate one to calibrate with");
}
const figures = existsSync(file) ? JSON.parse(await readFile(file, "utf8")) : {};
const folder = await mkdtemp(join(tmpdir(), "quality-"));
try {
  if (models.length > 0) await measureRows();
} finally {
  await rm(folder, { recursive: true });
}
const lines = tableLines(ROWS, figures);
console.log(lines.join("\n"));
if (options.readme !== undefined) {
  await writeFile(options.readme, putTable(await readFile(options.readme, "utf8"), lines));
}

async function measureRows() {
  const wanted = new RegExp(options.rows);
  const { stdout } = await run("git", ["rev-parse", "--short", "HEAD"], {
    cwd: new URL(".", import.meta.url),
  });
  const prepared = [];
  for (const model of models) prepared.push(await prepare(model));
  for (const row of ROWS.filter(({ name }) => wanted.test(name))) {
    for (const model of prepared) {
      const cost = await measure(row, model);
      const known = figures[row.name] ?? {};
      const all = { ...known.models, [model.name]: cost };
      figures[row.name] = { commit: stdout.trim(), models: all };
      await writeFile(file, `${JSON.stringify(figures, null, 2)}\n`);
      console.error(`${row.name}: ${model.name} ${JSON.stringify(cost)}`);
    }
  }
}

async function prepare(model) {
  const name = basename(model);
  const statistics = join(options.statistics ?? folder, `${name}-statistics.safetensors`);
  if (existsSync(statistics)) return { name, model, statistics };
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
  const inputs = {
    none: [],
    importance: ["--imatrix", statistics],
    statistics: ["--statistics", statistics],
    sequential: ["--sequential", "--data", options.calibrate, "--tokens", options.tokens],
  };
  const converted = await said([
    "convert",
    model,
    "--json",
    "--force",
    "--output",
    output,
    ...(row.recipe === undefined ? row.arguments : ["--recipe", recipe]),
    ...inputs[row.inputs ?? "none"],
  ]);
  const evaluated = await said([
    "eval",
    output,
    "--against",
    model,
    "--json",
    "--windows",
    options.windows,
    "--data",
    ...options.texts.split(","),
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
async function said(commandLine) {
  const { stdout } = await run(process.execPath, [quern, ...commandLine], { maxBuffer: 2 ** 28 });
  return stdout
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}
