// `quern eval` against the real llama-perplexity, on files of one model:
//   node tools/checks/src/perplexity.mjs --llama-perplexity PATH [--llama-quantize PATH] [--text FILE] [--context 256] [--chunks N]
//     [--types Q8_0,Q4_K_M] [--llama-defaults] <model>
// Needs the packages built. Figures are ours / llama.cpp's. llama.cpp rounds the activations before quantized weights, too;
// with --llama-quantize it also runs on the same values as F32 weights, which is what we compute ("... as F32"). --llama-defaults: with
// keys and values in F16 and fused attention.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import {
  divergence,
  EXACT_ATTENTION,
  perplexity,
  PROGRAM_OPTIONS,
  programPath,
  programVersion,
} from "./llama-programs.mjs";
import { quern, REPOSITORY, run } from "./programs.mjs";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    ...PROGRAM_OPTIONS,
    "llama-quantize": { type: "string" },
    text: { type: "string", default: join(REPOSITORY, "fixtures", "evaluation", "text.txt") },
    context: { type: "string", default: "256" },
    chunks: { type: "string" },
    types: { type: "string", default: "Q8_0,Q4_K_M,Q2_K" },
    "llama-defaults": { type: "boolean", default: false },
  },
});
const program = programPath(options, "llama-perplexity");
const [model] = positionals;
if (model === undefined) throw new Error("name a model");
const text = resolve(options.text);
const chunks = options.chunks === undefined ? [] : ["--chunks", options.chunks];
const folder = await mkdtemp(join(tmpdir(), "quern-perplexity-"));
try {
  await main();
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function main() {
  console.log(`${await programVersion(program)}; ${basename(text)}, contexts of ${options.context} tokens`);
  const f32 = await converted("F32");
  const logits = join(folder, "logits");
  const common = ["-c", options.context, ...(options["llama-defaults"] ? [] : EXACT_ATTENTION)];
  const theirs = await perplexity({
    program,
    model: f32,
    text,
    options: [...common, ...chunks],
    saveLogits: logits,
  });
  const ours = await evaluation(f32);
  console.log(
    `F32: ${ours.positions} positions, perplexity ${pair(estimate(ours.perplexity), theirs.perplexity, 4)}`,
  );
  console.log(`     error ${pair(ours.perplexity.error, theirs.error, 5)}`);
  row("type", "PPL", "mean KLD", "median KLD", "99% KLD", "mean Δp %", "RMS Δp %", "same top %");
  for (const type of options.types.split(",")) {
    const stored = await converted(type);
    const { perplexity: value, comparison } = await evaluation(stored, ["--against", f32]);
    const files = { [type]: stored };
    if (options["llama-quantize"] !== undefined) files[`${type} as F32`] = await dequantized(stored);
    for (const [name, path] of Object.entries(files)) {
      const { kld, deltaP, ...theirs } = await divergence({ program, model: path, logits, options: common });
      const percentile = ({ percentiles }, wanted) =>
        percentiles.find(({ percent }) => percent === wanted)?.value;
      row(
        name,
        pair(estimate(value), theirs.perplexity, 4),
        pair(estimate(comparison.divergence.mean), kld.mean, 6),
        pair(comparison.divergence.median, kld.median, 6),
        pair(percentile(comparison.divergence, 99), kld.p99, 5),
        pair(100 * estimate(comparison.deltaP.mean), deltaP.mean, 3),
        pair(100 * estimate(comparison.deltaP.rootMeanSquare), theirs.rmsDeltaP, 3),
        pair(100 * estimate(comparison.agreement), theirs.sameTop, 2),
      );
      // The statistical error, and what 16 bits of a log-probability leave.
      const errors = { perplexity: [estimate(value), theirs.perplexity, theirs.perplexityError] };
      errors["mean KLD"] = [estimate(comparison.divergence.mean), kld.mean, kld.meanError];
      for (const [what, [actual, expected, error]] of Object.entries(errors)) {
        if (Math.abs(actual - expected) <= error + 2e-6) continue;
        console.log(`  ${what} is off by more than llama.cpp's error of ${error}`);
        if (path !== stored) process.exitCode = 1;
      }
    }
  }
  const tolerance = options["llama-defaults"] ? 1e-3 : 1e-4;
  if (Math.abs(estimate(ours.perplexity) / theirs.perplexity - 1) > tolerance) process.exitCode = 1;
}

async function converted(type) {
  const path = join(folder, `${type}.gguf`);
  await quern("convert", resolve(model), "-t", type, "-o", path);
  return path;
}

async function dequantized(path) {
  const output = `${path}.f32`;
  await run(programPath(options, "llama-quantize"), ["--allow-requantize", path, output, "F32"]);
  return output;
}

/** What `quern eval` reports of the whole text. */
async function evaluation(path, more = []) {
  const output = join(folder, "report.json");
  await quern(
    "eval",
    path,
    "--data",
    text,
    "-c",
    options.context,
    ...chunks,
    "--report",
    output,
    "--force",
    ...more,
  );
  return JSON.parse(await readFile(output, "utf8")).evaluation.total;
}

function estimate({ value }) {
  return value;
}

function pair(ours, theirs, digits) {
  return `${ours?.toFixed(digits)} / ${theirs.toFixed(digits)}`;
}

function row(name, ...cells) {
  console.log([name.padEnd(16), ...cells.map((cell) => cell.padEnd(22))].join("").trimEnd());
}
