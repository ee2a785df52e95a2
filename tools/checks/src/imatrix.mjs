// `quern imatrix` against the real llama-imatrix, on the F32 file of a model:
//   node tools/checks/src/imatrix.mjs --llama-imatrix PATH [--text FILE] [--ctx-size 512] [--chunks N] <model> ...
// Needs the packages built. A model is a checkpoint or "golden", for all language models of fixtures/golden. The figures are relative
// differences of the mean square of a column. llama-imatrix runs twice: with F32 keys and values, as we do, and as it does by
// default, which shows what its own rounding makes. Where llama.cpp rounds on the way what we do not (src/llama-rounding.mjs), a
// second line has our forward pass with these roundings.
import { existsSync, readdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { loadKernels } from "@quern/kernels";
import { compareImportance, compareMeans, readMeans } from "./compare-importance.mjs";
import { EXACT_ATTENTION, imatrix, PROGRAM_OPTIONS, programPath, programVersion } from "./llama-programs.mjs";
import { quern, REPOSITORY } from "./programs.mjs";
import { roundedImportance } from "./rounded-importance.mjs";

const GOLDEN = join(REPOSITORY, "fixtures", "golden");
const TOLERANCE = 1e-3;

/** A number that is off by a rounding error may be rounded to the neighbour of what it should be. */
const TOLERANCE_OF_ROUNDED = 3e-3;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    ...PROGRAM_OPTIONS,
    text: { type: "string", default: join(REPOSITORY, "fixtures", "evaluation", "text.txt") },
    "ctx-size": { type: "string", default: "512" },
    chunks: { type: "string" },
  },
});
const program = programPath(options, "llama-imatrix");
const models = positionals.flatMap((model) => (model === "golden" ? goldenCheckpoints() : [model]));
const folder = await mkdtemp(join(tmpdir(), "quern-imatrix-"));
try {
  console.log(
    `${await programVersion(program)}; ${basename(options.text)}, chunks of ${options["ctx-size"]} tokens`,
  );
  console.log(
    row("model", "tensors", "counts off", "largest", "median", "llama.cpp's own", "seconds", "largest at"),
  );
  for (const [index, model] of models.entries()) await check(resolve(model), `${index}`);
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function check(model, name) {
  const path = (ending) => join(folder, `${name}${ending}`);
  await quern("convert", model, "-t", "F32", "-o", path(".gguf"));
  // One chunk a batch: llama-imatrix leaves out batches of fewer than 16 tokens, which several chunks may end in.
  const batch = ["-b", options["ctx-size"]];
  const size = [
    "-c",
    options["ctx-size"],
    ...(options.chunks === undefined ? [] : ["--chunks", options.chunks]),
  ];
  const text = resolve(options.text);
  const run = (output, more) =>
    imatrix({
      program,
      model: path(".gguf"),
      text,
      output,
      options: [...size, ...batch, "--process-output", ...more],
    });
  const theirs = await run(path("-exact.gguf"), EXACT_ATTENTION);
  await run(path("-default.gguf"), []);
  const { seconds } = await quern(
    "imatrix",
    path(".gguf"),
    "-f",
    text,
    "-o",
    path("-ours.gguf"),
    ...size,
    "--process-output",
  );
  const own = await compareImportance(path("-default.gguf"), path("-exact.gguf"));
  const ours = await compareImportance(path("-ours.gguf"), path("-exact.gguf"));
  const title = basename(model) === "checkpoint" ? basename(resolve(model, "..")) : basename(model);
  const times = `${seconds.toFixed(1)} / ${theirs.seconds.toFixed(1)}`;
  report(title, ours, { own: own.largest.toExponential(1), times });

  const rounded = await roundedImportance({
    path: path(".gguf"),
    text,
    context: Number(options["ctx-size"]),
    chunks: options.chunks === undefined ? undefined : Number(options.chunks),
    kernels: await loadKernels(),
  });
  if (rounded === undefined) return judge(ours, TOLERANCE);
  const closest = compareMeans(rounded, await readMeans(path("-exact.gguf")));
  report("  as llama.cpp", closest);
  return judge(closest, TOLERANCE_OF_ROUNDED);
}

function report(
  title,
  { tensors, counts, largest, median, where, missing, more },
  { own = "", times = "" } = {},
) {
  console.log(
    row(title, tensors, counts, largest.toExponential(1), median.toExponential(1), own, times, where),
  );
  if (missing.length > 0) console.log(`  missing: ${missing.join(", ")}`);
  if (more.length > 0) console.log(`  not in llama-imatrix's: ${more.join(", ")}`);
}

function judge({ largest, missing, more, counts }, tolerance) {
  if (largest > tolerance || missing.length + more.length + counts > 0) process.exitCode = 1;
}

function goldenCheckpoints() {
  const generative = (name) => existsSync(join(REPOSITORY, "fixtures", "calibration", `${name}.gguf`));
  return readdirSync(GOLDEN)
    .filter(generative)
    .map((name) => join(GOLDEN, name, "checkpoint"));
}

function row(...cells) {
  return cells.map((cell, index) => (index < 7 ? String(cell).padEnd(16) : cell)).join("");
}
