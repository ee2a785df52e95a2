// Makes fixtures/calibration and fixtures/evaluation anew with the real programs:
//   node tools/checks/src/record-fixtures.mjs --llama-imatrix PATH --llama-perplexity PATH --llama-quantize PATH
// Needs the packages built.
import { existsSync, readdirSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { createHash } from "node:crypto";
import { parseArgs } from "node:util";
import {
  divergence,
  EXACT_ATTENTION,
  imatrix,
  perplexity,
  PROGRAM_OPTIONS,
  programPath,
  programVersion,
  savedTokens,
} from "./llama-programs.mjs";
import { quern, REPOSITORY, run } from "./programs.mjs";

const CALIBRATION = join(REPOSITORY, "fixtures", "calibration");
const EVALUATION = join(REPOSITORY, "fixtures", "evaluation");
const GOLDEN = join(REPOSITORY, "fixtures", "golden");
const TEXT = "text.txt";

/** llama.cpp asserts that an evaluated vocabulary adds no end to texts; these are embedding models. */
const NOT_GENERATIVE = ["bert", "xlm-roberta", "xlm-roberta-json"];

/** Matrices: file -> checkpoint and options. Those of the golden checkpoints are added below. */
const MATRICES = {
  demo: ["demo", "-c", "256", "--chunks", "16"],
  "demo-output": ["demo", "-c", "128", "--chunks", "4", "--process-output"],
  "llama2-spm-output": ["llama2-spm", "-c", "128", "--chunks", "8", "--process-output"],
  "qwen3-from-chunk": ["qwen3", "-c", "64", "--chunk", "2", "--chunks", "4"],
};

/** Types of the demo model whose divergence from F32 is measured; those of two bits have the matrix of fixtures/calibration. */
const TYPES = ["F16", "BF16", "Q8_0", "Q6_K", "Q4_K_M", "IQ4_XS", "Q3_K_M", "Q2_K"];
const TYPES_WITH_MATRIX = ["Q2_K", "IQ2_XS"];

const { values: options } = parseArgs({
  options: { ...PROGRAM_OPTIONS, "llama-quantize": { type: "string" } },
});
const programs = {
  imatrix: programPath(options, "llama-imatrix"),
  perplexity: programPath(options, "llama-perplexity"),
  quantize: programPath(options, "llama-quantize"),
};
const folder = await mkdtemp(join(tmpdir(), "quern-fixtures-"));
try {
  await record();
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function record() {
  const bytes = await readFile(join(EVALUATION, TEXT));
  const text = { file: TEXT, bytes: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
  const golden = readdirSync(GOLDEN).filter(
    (name) => existsSync(join(GOLDEN, name, "checkpoint")) && !NOT_GENERATIVE.includes(name),
  );
  const models = new Map([["demo", await converted("demo", "F32")]]);
  for (const name of golden) models.set(name, await converted(name, "F32"));

  await writeJson(join(CALIBRATION, "llama-imatrix.json"), {
    madeWith: await programVersion(programs.imatrix),
    text: { ...text, file: `../evaluation/${TEXT}` },
    options: EXACT_ATTENTION,
    files: await recordMatrices(models, golden),
  });
  await writeJson(join(EVALUATION, "llama-perplexity.json"), {
    madeWith: await programVersion(programs.perplexity),
    text,
    options: EXACT_ATTENTION,
    perplexities: await recordPerplexities(models, golden),
    divergences: await recordDivergences(models.get("demo")),
  });
}

async function recordMatrices(models, golden) {
  const matrices = { ...MATRICES };
  for (const name of golden) matrices[name] = [name, "-c", "128", "--chunks", "8"];
  const files = {};
  for (const [file, [checkpoint, ...more]] of Object.entries(matrices)) {
    const { perplexity, error } = await imatrix({
      program: programs.imatrix,
      model: models.get(checkpoint),
      text: TEXT,
      output: join(CALIBRATION, `${file}.gguf`),
      options: [...more, ...EXACT_ATTENTION],
      cwd: EVALUATION,
    });
    files[`${file}.gguf`] = { checkpoint, options: more, perplexity, error };
    console.log(file, perplexity);
  }
  return files;
}

async function recordPerplexities(models, golden) {
  const cases = ["128", "256", "512"].map((context) => ["demo", context]);
  for (const name of golden) cases.push([name, "128"]);
  const results = [];
  for (const [checkpoint, context] of cases) {
    const logits = join(folder, "logits");
    const {
      perplexity: value,
      error,
      running,
    } = await perplexity({
      program: programs.perplexity,
      model: models.get(checkpoint),
      text: TEXT,
      options: ["-c", context, ...EXACT_ATTENTION],
      saveLogits: logits,
      cwd: EVALUATION,
    });
    const { sha256, chunks } = await savedTokens(logits);
    results.push({
      checkpoint,
      type: "F32",
      context: Number(context),
      chunks,
      tokensSha256: sha256,
      perplexity: value,
      error,
      running,
    });
    console.log(checkpoint, context, value);
  }
  return results;
}

async function recordDivergences(f32) {
  const matrix = join(CALIBRATION, "demo.gguf");
  const cases = [
    { type: "F32", context: 256 },
    ...TYPES.map((type) => ({ type, context: 256 })),
    ...TYPES_WITH_MATRIX.map((type) => ({ type, context: 256, imatrix: "demo.gguf" })),
    { type: "Q4_K_M", context: 128 },
    { type: "Q4_K_M", context: 512 },
  ];
  const logits = new Map();
  const results = [];
  for (const { type, context, imatrix: given } of cases) {
    if (!logits.has(context)) {
      const saveLogits = join(folder, `logits-${context}`);
      logits.set(context, saveLogits);
      const options = ["-c", String(context), ...EXACT_ATTENTION];
      await perplexity({
        program: programs.perplexity,
        model: f32,
        text: TEXT,
        options,
        saveLogits,
        cwd: EVALUATION,
      });
    }
    const stored =
      type === "F32" ? f32 : await converted("demo", type, given === undefined ? [] : ["--imatrix", matrix]);
    const files = { stored };
    if (type !== "F32") files.dequantized = await dequantized(stored);
    for (const [weights, model] of Object.entries(files)) {
      const measured = await divergence({
        program: programs.perplexity,
        model,
        logits: logits.get(context),
        options: ["-c", String(context), ...EXACT_ATTENTION],
      });
      delete measured.seconds;
      results.push({
        checkpoint: "demo",
        type,
        ...(given && { imatrix: given }),
        context,
        weights,
        ...measured,
      });
      console.log(type, context, weights, measured.perplexity, measured.kld.mean);
    }
  }
  return results;
}

/** Path of the file that Quern makes of a checkpoint. */
async function converted(checkpoint, type, more = []) {
  const source =
    checkpoint === "demo"
      ? join(REPOSITORY, "examples", "quern-demo")
      : join(GOLDEN, checkpoint, "checkpoint");
  const output = await mkdtemp(join(folder, `${checkpoint}-`));
  await quern("convert", source, "-t", type, "-o", `${output}/`, ...more);
  const [file] = await readdir(output);
  return join(output, file);
}

/** The same values as F32 weights, with which llama.cpp does not round activations to what its kernels of a type take. */
async function dequantized(path) {
  const output = join(folder, `dequantized-${basename(path)}`);
  await run(programs.quantize, ["--allow-requantize", path, output, "F32"]);
  return output;
}

async function writeJson(path, value) {
  // One line for each element of the longest lists: diffs stay readable.
  const lines = JSON.stringify(value, (_, item) => (isFlat(item) ? JSON.stringify(item) : item), 1);
  await writeFile(path, `${lines.replaceAll(/"([[{].*[\]}])"/g, (_, json) => JSON.parse(`"${json}"`))}\n`);
}

/** Lists and records of numbers and strings only, which are written on one line. */
function isFlat(item) {
  return (
    typeof item === "object" &&
    item !== null &&
    Object.values(item).every((value) => typeof value !== "object") &&
    (Array.isArray(item) || Object.values(item).every((value) => typeof value === "number"))
  );
}
