// Whole conversions of synthetic checkpoints: wall time, peak resident memory and where the time went in `quern convert`, side by
// side with the usual two steps: convert_hf_to_gguf.py (bf16), then llama.cpp's quantizer.
//   node tools/bench/src/conversion.mjs [--sizes 1B,4B] [--types Q4_K_M,Q8_0,IQ4_XS,Q4_K_M+Q8_0] [--rounds 3] [--threads 1,2]
//       [--alone] [--python <interpreter> --converter <convert_hf_to_gguf.py>] [--kernels wasm] [--folder <scratch>] [--keep]
// Every round measures all contenders in turn; figures are medians, with the worst in brackets. Without a Python the peer's time is
// that of its quantizer alone, on a BF16 file that Quern made (it equals the converter's). Files of both are compared.
import { createHash } from "node:crypto";
import { createReadStream, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { cpus, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { measureProcess } from "./measure-process.mjs";
import { writeSyntheticCheckpoint } from "./synthetic-checkpoint.mjs";

const { values: options } = parseArgs({
  options: {
    sizes: { type: "string", default: "1B" },
    types: { type: "string", default: "Q4_K_M,Q8_0,IQ4_XS" },
    rounds: { type: "string", default: "3" },
    threads: { type: "string", default: String(cpus().length) },
    alone: { type: "boolean", default: false },
    python: { type: "string" },
    converter: { type: "string" },
    kernels: { type: "string", default: "native" },
    folder: { type: "string" },
    keep: { type: "boolean", default: false },
  },
});
const quern = fileURLToPath(new URL("../../../apps/converter/bin/quern.js", import.meta.url));
const llama = fileURLToPath(new URL("./llama-library.mjs", import.meta.url));
// llama_ftype numbers of include/llama.h
const FILE_TYPES = {
  Q4_K_M: 15,
  Q8_0: 7,
  IQ4_XS: 30,
  Q6_K: 18,
  Q2_K: 10,
  Q5_K_M: 17,
  Q4_0: 2,
  IQ3_M: 27,
  IQ3_XXS: 23,
};
const threadCounts = options.threads.split(",").map(Number);
const allThreads = Math.max(...threadCounts);

console.log(
  `${cpus()[0].model}, ${cpus().length} cores, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, Node ${process.version}, ${options.kernels} kernels, ${options.rounds} rounds\n`,
);
const scratch = options.folder ?? mkdtempSync(join(tmpdir(), "quern-bench-"));
mkdirSync(scratch, { recursive: true });
try {
  for (const size of options.sizes.split(",")) await measureSize(size);
} finally {
  if (!options.keep) rmSync(scratch, { recursive: true, force: true });
}

async function measureSize(size) {
  const checkpoint = join(scratch, size);
  if (!existsSync(join(checkpoint, "model.safetensors.index.json")))
    writeSyntheticCheckpoint(size, checkpoint);
  const folder = join(scratch, `${size}-out`);
  mkdirSync(folder, { recursive: true });
  const types = options.types.split(",");
  const full = join(folder, "full-bf16.gguf");
  const contenders = [];
  if (!options.alone) {
    if (options.converter !== undefined) {
      const script = [options.converter, checkpoint, "--outtype", "bf16", "--outfile", full];
      contenders.push({
        what: "llama.cpp: convert_hf_to_gguf.py",
        run: () => measureProcess(options.python ?? "python3", script),
      });
    } else {
      await runQuern({ checkpoint, types: "BF16", output: full, threads: allThreads });
    }
  }
  for (const type of types) {
    for (const threads of threadCounts) {
      contenders.push({
        what: `quern: checkpoint -> ${type}, ${threads} threads`,
        run: () => runQuern({ checkpoint, types: type.replaceAll("+", ","), output: folder + "/", threads }),
      });
    }
    if (options.alone || type.includes("+")) continue;
    const target = join(folder, `llama-${type}.gguf`);
    contenders.push({
      what: `llama.cpp: BF16 GGUF -> ${type}, ${allThreads} threads`,
      run: async () => {
        const result = await measureProcess(process.execPath, [
          llama,
          full,
          target,
          String(FILE_TYPES[type]),
          String(allThreads),
        ]);
        await compareFiles(target, ours(folder, type));
        rmSync(target);
        return result;
      },
    });
  }

  await readThrough(checkpoint);
  const results = contenders.map(() => []);
  for (let round = 0; round < Number(options.rounds); round++) {
    for (const [index, { run }] of contenders.entries()) results[index].push(await run());
  }
  print(size, contenders, results);
  if (!options.keep) {
    rmSync(checkpoint, { recursive: true });
    rmSync(folder, { recursive: true });
  }
}

function print(size, contenders, results) {
  console.log(`${size.padEnd(46)}${"wall s".padStart(16)}${"peak RSS MB".padStart(16)}`);
  for (const [index, { what }] of contenders.entries()) {
    const seconds = results[index].map((result) => result.seconds);
    const memory = results[index].map((result) => result.peakBytes / 1e6);
    console.log(`${what.padEnd(46)}${figure(seconds, 1)}${figure(memory, 0)}`);
    const profile = medianBy(results[index], ({ seconds }) => seconds).profile;
    if (profile !== undefined) console.log(`    ${describeProfile(profile)}`);
  }
  console.log();
}

function figure(values, digits) {
  const worst = Math.max(...values).toFixed(digits);
  return `${medianBy(values, (value) => value).toFixed(digits)} (${worst})`.padStart(16);
}

/** Threads' time in percent; reads and writes are hidden as long as threads do not wait. */
function describeProfile({ threads, start, quantize, convert, idle, other, read, write, finish, total }) {
  const all = quantize + convert + idle + other;
  const share = (seconds) => `${((100 * seconds) / all).toFixed(0)}%`;
  const rest = total - start - all / threads - finish;
  return (
    `threads: quantize ${share(quantize)}, convert ${share(convert)}, idle ${share(idle)}, other ${share(other)}; ` +
    `in flight: read ${read.toFixed(1)} s, write ${write.toFixed(1)} s; ` +
    `around it: process and plan ${rest.toFixed(2)} s, workers ${start.toFixed(2)} s, finish ${finish.toFixed(2)} s`
  );
}

function medianBy(values, key) {
  return [...values].sort((a, b) => key(a) - key(b))[Math.floor(values.length / 2)];
}

async function runQuern({ checkpoint, types, output, threads }) {
  const script = [
    quern,
    "convert",
    checkpoint,
    "-t",
    types,
    "-o",
    output,
    "--force",
    "--threads",
    String(threads),
  ];
  // Q8_0 is also a type of the converter, whose file has another order of tensors than the quantizer's.
  const flavour = types === "BF16" ? [] : ["--flavour", "quantizer"];
  const result = await measureProcess(process.execPath, [
    ...script,
    ...flavour,
    "--json",
    "--kernels",
    options.kernels,
  ]);
  const { profile } = JSON.parse(result.lastLine);
  return { ...result, profile: { ...profile, total: result.seconds } };
}

function ours(folder, type) {
  return join(
    folder,
    readdirSync(folder).find((name) => !name.startsWith("llama-") && name.endsWith(`-${type}.gguf`)),
  );
}

async function compareFiles(theirs, mine) {
  const [expected, actual] = [await sha256(theirs), await sha256(mine)];
  if (expected === actual) return;
  console.log(`DIFFERS: ${mine} is not what llama.cpp wrote`);
  process.exitCode = 1;
}

async function sha256(path) {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}

/** Brings the files into the page cache, so that all runs start alike. */
async function readThrough(folder) {
  for (const file of readdirSync(folder)) await sha256(join(folder, file));
}
