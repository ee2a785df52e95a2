// What it takes to write a quantized checkpoint with error-compensated rounding: time by kind of layer, rates of rounding and of
// factorizations, peak memory beside what the plan says, and the time of all threads by task.
//   node tools/bench/src/layers.mjs [--model <folder> | --size 1B [--layers 2]] [--statistics <file>] [--recipe gptq-w4-g128] [--threads 1,2]
//       [--memory 8G] [--kernels wasm] [--folder <scratch>] [--keep]
// Needs the packages built. Without statistics of the model (`quern calibrate --hessians`) they are made up in its shapes, which takes as long to
// round with. A layer's time is that of all threads together. Rates count what the algorithm's products take: n^3 / 3 for a Hessian of n
// columns; for each row n^2 for the errors that columns pass on, and 2 n^2 for the gradients of each pass and of a refit alone. Searches for
// ranges, comparisons with rounding to nearest and reading are in the time, but not counted.
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { openCheckpointDirectory } from "@quern/checkpoints/node";
import { openLayeredModel } from "@quern/pipeline/layers";
import { presetNamed, resolveRecipe } from "@quern/recipes";
import { measureProcess } from "./measure-process.mjs";
import { writeSyntheticCheckpoint } from "./synthetic-checkpoint.mjs";
import { writeSyntheticStatistics } from "./synthetic-statistics.mjs";

const { values: options } = parseArgs({
  options: {
    model: { type: "string" },
    size: { type: "string", default: "1B" },
    layers: { type: "string" },
    statistics: { type: "string" },
    recipe: { type: "string", default: "gptq-w4-g128" },
    threads: { type: "string", default: "1,2" },
    memory: { type: "string" },
    kernels: { type: "string", default: "native" },
    folder: { type: "string" },
    keep: { type: "boolean", default: false },
  },
});
const quern = fileURLToPath(new URL("../../../apps/converter/bin/quern.js", import.meta.url));
const scratch = options.folder ?? mkdtempSync(join(tmpdir(), "quern-bench-"));
mkdirSync(scratch, { recursive: true });
try {
  await run();
} finally {
  if (!options.keep) rmSync(scratch, { recursive: true, force: true });
}

async function run() {
  const folder = resolve(
    options.model ?? join(scratch, [options.size, options.layers ?? []].flat().join("-")),
  );
  if (!existsSync(join(folder, "config.json")))
    writeSyntheticCheckpoint(options.size, folder, options.layers && Number(options.layers));
  const model = await openLayeredModel(await openCheckpointDirectory(folder));
  const statistics =
    options.statistics ?? join(scratch, `${basename(folder)}-made-up-statistics.safetensors`);
  if (!existsSync(statistics)) await writeSyntheticStatistics(model, statistics);
  const linears = new Map(model.linears.map((linear) => [`${linear.module}.weight`, linear]));
  const operations = operationsOf(resolveRecipe(presetNamed(options.recipe), model.linears));
  console.log(
    `${cpus()[0].model}, Node ${process.version}, ${options.kernels} kernels: ${basename(folder)}, ${options.recipe}, ` +
      `${options.statistics === undefined ? "made-up statistics" : basename(statistics)}\n`,
  );
  for (const threads of options.threads.split(",")) {
    const result = await convert({ folder, statistics, threads });
    print({ ...result, threads, linears, operations });
  }
}

async function convert({ folder, statistics, threads }) {
  const output = join(scratch, "quantized");
  const script = [quern, "convert", folder, "--recipe", options.recipe, "--statistics", statistics];
  const more = options.memory === undefined ? [] : ["--memory", options.memory];
  const common = [
    ...more,
    "-o",
    output,
    "--force",
    "--threads",
    threads,
    "--kernels",
    options.kernels,
    "--json",
  ];
  const planned = await measureProcess(process.execPath, [...script, ...common, "--dry-run"]);
  const measured = await measureProcess(process.execPath, [...script, ...common]);
  rmSync(output, { recursive: true });
  return { ...measured, plan: JSON.parse(planned.lastLine), report: JSON.parse(measured.lastLine) };
}

/** Of the products that rounding a layer takes, by name of the weight. */
function operationsOf({ decisions }) {
  const quantized = decisions.filter(({ keep }) => keep !== true);
  return new Map(
    quantized.map(({ module, treatment: { rounding } }) => {
      const { passes = 0, refitScales = false } = rounding.options ?? {};
      const gradients = refitScales ? Math.max(passes, 1) : passes;
      const compensates = rounding.name === "gptq" ? 1 : 0;
      return [`${module}.weight`, ({ rows, columns }) => rows * columns ** 2 * (compensates + 2 * gradients)];
    }),
  );
}

function print({ seconds, peakBytes, plan, report, threads, linears, operations }) {
  const gib = (bytes) => `${(bytes / 2 ** 30).toFixed(2)} GiB`;
  console.log(
    `${threads} threads: ${seconds.toFixed(1)} s, peak ${gib(peakBytes)}, planned ${gib(plan.resources.peakMemory)}`,
  );
  const prepared = new Map();
  const rounded = new Map();
  const byTask = new Map();
  for (const { task, tensor, seconds: time } of report.times) {
    byTask.set(task, (byTask.get(task) ?? 0) + time);
    const linear = linears.get(tensor);
    if (linear === undefined) continue;
    const { role, rows, columns } = linear;
    if (task === "prepare") add(prepared, String(columns), { time, count: 1, operations: columns ** 3 / 3 });
    if (task !== "round-rows") continue;
    const count = operations.get(tensor)(linear);
    add(rounded, `${role} ${rows} x ${columns}`, { time, count: 1, operations: count });
  }
  printRows("round", rounded);
  printRows("prepare, columns", prepared);
  const all = seconds * Math.max(Number(threads), 1);
  const shares = [...byTask].sort(([, a], [, b]) => b - a);
  console.log(
    `  of all threads' time: ${shares.map(([task, time]) => `${task} ${((100 * time) / all).toFixed(1)}%`).join(", ")}\n`,
  );
}

function printRows(what, rows) {
  console.log(
    `  ${what.padEnd(28)}${"number".padStart(8)}${"s each".padStart(10)}${"s in all".padStart(10)}${"GFLOP/s".padStart(10)}`,
  );
  for (const [name, { time, count, operations }] of rows) {
    const rate = (operations / time / 1e9).toFixed(1);
    console.log(
      `  ${name.padEnd(28)}${String(count).padStart(8)}${(time / count).toFixed(3).padStart(10)}${time.toFixed(1).padStart(10)}${rate.padStart(10)}`,
    );
  }
}

function add(groups, key, { time, count, operations }) {
  const known = groups.get(key) ?? { time: 0, count: 0, operations: 0 };
  groups.set(key, {
    time: known.time + time,
    count: known.count + count,
    operations: known.operations + operations,
  });
}
