// llama-imatrix and llama-perplexity of llama.cpp v0.5.0, and what they print as data.
import { open } from "node:fs/promises";
import { createHash } from "node:crypto";
import { run } from "./programs.mjs";

/** Makes llama.cpp keep keys and values in F32 (F16 is its default) and evaluate attention as written: no rounding but that of F32. */
export const EXACT_ATTENTION = ["-ctk", "f32", "-ctv", "f32", "-fa", "off"];

/** Options that name the programs, for `parseArgs`. */
export const PROGRAM_OPTIONS = {
  "llama-imatrix": { type: "string" },
  "llama-perplexity": { type: "string" },
};

/** The path that an option names, which must be there. */
export function programPath(options, name) {
  const path = options[name];
  if (path === undefined) throw new Error(`say where llama.cpp's program lies: --${name} PATH`);
  return path;
}

/** "llama.cpp 0.5.0-dev (de3ff81), GNU 12.2.0 for Linux x86_64" */
export async function programVersion(program) {
  const { stdout, stderr } = await run(program, ["--version"]);
  const text = stdout + stderr;
  const version = /^version: (\S+).*commit (\w+)/m.exec(text);
  const built = /^built with (.*)$/m.exec(text);
  return `llama.cpp ${version?.[1]} (${version?.[2]}), ${built?.[1]}`;
}

/** Runs llama-imatrix. The perplexity is that of its own chunks. */
export async function imatrix({ program, model, text, output, options, cwd }) {
  const argv = ["-m", model, "-f", text, "-o", output, ...options];
  return runAndParse(program, argv, { cwd, parse: parseEstimate });
}

/** Runs llama-perplexity; `saveLogits` keeps the model's log-probabilities for {@link divergence}. */
export async function perplexity({ program, model, text, options, saveLogits, cwd }) {
  const argv = ["-m", model, "-f", text, ...options];
  if (saveLogits !== undefined) argv.push("--kl-divergence-base", saveLogits);
  const parse = (stdout, stderr) => ({ ...parseEstimate(stdout, stderr), running: parseRunning(stdout) });
  return runAndParse(program, argv, { cwd, parse });
}

/** Runs llama-perplexity against the log-probabilities of another model. */
export async function divergence({ program, model, logits, options }) {
  const argv = ["-m", model, "--kl-divergence-base", logits, "--kl-divergence", ...options];
  return runAndParse(program, argv, { parse: parseDivergence });
}

/** The log of llama.cpp is written by a thread of its own, whose last lines may be lost when the program ends: then it runs again. */
async function runAndParse(program, argv, { cwd, parse }) {
  for (let attempt = 1; ; attempt++) {
    const { stdout, stderr, seconds } = await run(program, argv, { cwd });
    try {
      return { ...parse(stdout, stderr), seconds };
    } catch (error) {
      if (attempt === 5) throw error;
    }
  }
}

/**
 * The tokens that a file of log-probabilities begins with: whole chunks, as in the text (BOS replaces the first of each only while the
 * model runs). Layout: "_logits_", then 32-bit integers: tokens of a chunk, vocabulary, chunks, tokens (tools/perplexity/perplexity.cpp).
 */
export async function savedTokens(path) {
  const file = await open(path);
  try {
    const header = Buffer.alloc(20);
    await file.read(header, 0, 20, 0);
    if (header.toString("latin1", 0, 8) !== "_logits_") throw new Error(`${path} holds no log-probabilities`);
    const [context, vocabulary, chunks] = [8, 12, 16].map((offset) => header.readInt32LE(offset));
    const bytes = Buffer.alloc(4 * context * chunks);
    await file.read(bytes, 0, bytes.length, 20);
    const ids = Array.from({ length: context * chunks }, (_, index) => bytes.readInt32LE(4 * index));
    return { context, vocabulary, chunks, ids, sha256: createHash("sha256").update(bytes).digest("hex") };
  } finally {
    await file.close();
  }
}

function parseEstimate(stdout, stderr) {
  const text = stdout + stderr;
  const found = /Final estimate: PPL = (\S+) \+\/- (\S+)/.exec(text);
  if (found === null) throw new Error(`no estimate in:\n${text.slice(-1000)}`);
  return { perplexity: Number(found[1]), error: Number(found[2]) };
}

/** Perplexity of all chunks so far, after each: "[1]30.9327,[2]32.5092," */
function parseRunning(text) {
  return [...text.matchAll(/\[\d+\]([\d.]+),/g)].map(([, value]) => Number(value));
}

const NUMBER = String.raw`\s*(-?[\d.]+(?:e[+-]\d+)?|-?nan|-?inf)\s*`;

/** Names of the printed statistics; those of probabilities ("Δp", "Same top p") are in percent there and here. */
const STATISTICS = {
  "Mean PPL(Q)": "perplexity",
  "Mean PPL(base)": "basePerplexity",
  "Cor(ln(PPL(Q)), ln(PPL(base)))": "correlation",
  "Mean ln(PPL(Q)/PPL(base))": "logRatio",
  "Mean PPL(Q)/PPL(base)": "ratio",
  "Mean PPL(Q)-PPL(base)": "difference",
  "RMS Δp": "rmsDeltaP",
  "Same top p": "sameTop",
};

const ORDER_STATISTICS = { Maximum: "maximum", Median: "median", Minimum: "minimum" };

function parseDivergence(text) {
  const result = { perChunk: parseChunks(text), kld: {}, deltaP: {} };
  for (const line of text.slice(text.indexOf("======")).split("\n")) {
    const match = new RegExp(`^\\s*(.*?)\\s*:${NUMBER}%?(?:±${NUMBER}%?)?\\s*$`).exec(line);
    if (match === null) continue;
    const [, label, value, error] = match;
    const of = / (KLD|Δp)$/.exec(label)?.[1];
    if (STATISTICS[label] !== undefined) {
      result[STATISTICS[label]] = Number(value);
      if (error !== undefined) result[`${STATISTICS[label]}Error`] = Number(error);
    } else if (of !== undefined) {
      const group = of === "KLD" ? result.kld : result.deltaP;
      const name = label.slice(0, -of.length).trim();
      if (name === "Mean") Object.assign(group, { mean: Number(value), meanError: Number(error) });
      else group[ORDER_STATISTICS[name] ?? `p${Number(name.replace("%", ""))}`] = Number(value);
    } else throw new Error(`unknown statistic: ${line}`);
  }
  if (result.sameTop === undefined) throw new Error(`no statistics in:\n${text.slice(-1000)}`);
  return result;
}

/** Rows of the table by chunk; each covers all chunks so far. */
function parseChunks(text) {
  const pair = `${NUMBER}±${NUMBER}`;
  const row = new RegExp(`^\\s*\\d+${pair}${pair}${pair}${pair}%${pair}%\\s*$`, "gm");
  return [...text.matchAll(row)].map(([, ...columns]) => {
    const values = columns.map(Number);
    return {
      perplexity: values[0],
      logRatio: values[2],
      kld: values[4],
      rmsDeltaP: values[6],
      sameTop: values[8],
    };
  });
}
