// What a matrix of `quern imatrix` and one of the real llama-imatrix make of a model, and whether llama-quantize makes the same bytes:
//   node tools/checks/src/quantization.mjs --llama-imatrix PATH --llama-quantize PATH [--text FILE] [--chunks 32] [--ctx-size 512]
//     [--evaluate FILE] [--windows N] [--types Q4_K_M,Q2_K] <model>
// Needs the packages built. The divergence is that from the unquantized model, on another text than the matrices are made of.
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { compareImportance } from "./compare-importance.mjs";
import { imatrix, PROGRAM_OPTIONS, programPath, programVersion } from "./llama-programs.mjs";
import { quern, REPOSITORY, run } from "./programs.mjs";

const DEFAULT_TEXT = join(REPOSITORY, "packages", "corpus", "default-text", "prose.txt");
const EVALUATION_TEXT = join(REPOSITORY, "fixtures", "evaluation", "text.txt");

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    ...PROGRAM_OPTIONS,
    "llama-quantize": { type: "string" },
    text: { type: "string", default: DEFAULT_TEXT },
    chunks: { type: "string", default: "32" },
    "ctx-size": { type: "string", default: "512" },
    evaluate: { type: "string", default: EVALUATION_TEXT },
    windows: { type: "string" },
    types: { type: "string", default: "Q4_K_M,Q3_K_M,Q2_K,IQ2_XS" },
  },
});
const llamaImatrix = programPath(options, "llama-imatrix");
const llamaQuantize = programPath(options, "llama-quantize");
const [model] = positionals;
if (model === undefined) throw new Error("name a model");
const folder = await mkdtemp(join(tmpdir(), "quern-quantization-"));
const inFolder = (name) => join(folder, name);
try {
  await main();
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function main() {
  const f32 = inFolder("f32.gguf");
  await quern("convert", resolve(model), "-t", "F32", "-o", f32);
  const matrices = await makeMatrices(f32);
  const { largest, median, where } = await compareImportance(matrices.ours, matrices.theirs);
  console.log(`${basename(resolve(model))}; ${await programVersion(llamaImatrix)}`);
  console.log(
    `matrices: at most ${largest.toExponential(1)} apart (${where}), median ${median.toExponential(1)}`,
  );
  row("type", "matrix", "types", "llama-quantize", "mean KLD", "error", "perplexity", "weights that differ");
  for (const type of options.types.split(",")) {
    const results = {};
    for (const [name, matrix] of Object.entries(matrices))
      results[name] = await quantized({ f32, type, name, matrix });
    check(type, results);
  }
}

/** Both tools as they are used: llama-imatrix with its defaults, but for batches of one chunk, so that no token is left out. */
async function makeMatrices(f32) {
  const text = resolve(options.text);
  const size = ["-c", options["ctx-size"], "--chunks", options.chunks];
  const matrices = { ours: inFolder("ours.gguf"), theirs: inFolder("theirs.gguf") };
  await quern("imatrix", f32, "-f", text, "-o", matrices.ours, ...size);
  const more = [...size, "-b", options["ctx-size"]];
  await imatrix({ program: llamaImatrix, model: f32, text, output: matrices.theirs, options: more });
  return matrices;
}

async function quantized({ f32, type, name, matrix }) {
  const path = inFolder(`${type}-${name}.gguf`);
  await quern("quantize", "--imatrix", matrix, f32, path, type);
  const expected = inFolder("expected.gguf");
  await run(llamaQuantize, ["--imatrix", matrix, f32, expected, type]);
  const [bytes, expectedBytes] = await Promise.all([readFile(path), readFile(expected)]);
  const report = inFolder("report.json");
  const windows = options.windows === undefined ? [] : ["--windows", options.windows];
  await quern(
    "eval",
    path,
    "--against",
    f32,
    "--data",
    resolve(options.evaluate),
    "-c",
    "256",
    ...windows,
    "--report",
    report,
    "-f",
  );
  const { total } = JSON.parse(await readFile(report, "utf8")).evaluation;
  const { stdout } = await quern("inspect", path, "--json");
  const types = JSON.parse(stdout).tensors.map(({ name, type }) => `${name} ${type}`);
  return { bytes, same: bytes.equals(expectedBytes), total, types };
}

function check(type, results) {
  const { ours, theirs } = results;
  const sameTypes = ours.types.join() === theirs.types.join();
  for (const [name, { same, total, types }] of Object.entries(results)) {
    const { value, error } = total.comparison.divergence.mean;
    row(
      type,
      name,
      hashOf(types.join()),
      same ? "same bytes" : "OTHER BYTES",
      value.toFixed(6),
      error.toFixed(6),
      total.perplexity.value.toFixed(4),
      name === "ours" ? "" : `${(100 * shareOfOtherBytes(ours.bytes, theirs.bytes)).toFixed(2)} % of bytes`,
    );
    if (!same || !sameTypes) process.exitCode = 1;
  }
  const [a, b] = [ours, theirs].map(({ total }) => total.comparison.divergence.mean);
  if (Math.abs(a.value - b.value) > Math.hypot(a.error, b.error)) {
    console.log("  the divergences differ by more than their errors");
    process.exitCode = 1;
  }
}

function shareOfOtherBytes(a, b) {
  let other = 0;
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) other += 1;
  return other / a.length;
}

function hashOf(text) {
  return createHash("sha256").update(text).digest("hex").slice(0, 8);
}

function row(...cells) {
  console.log(
    cells
      .map((cell) => cell.padEnd(16))
      .join("")
      .trimEnd(),
  );
}
