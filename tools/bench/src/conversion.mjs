// Whole conversions of synthetic checkpoints: wall time and peak resident memory of `quern convert`, and of the real
// llama.cpp's quantizer on the BF16 GGUF that it needs first.
//   node tools/bench/src/conversion.mjs [--sizes 1B,4B] [--threads 2] [--folder <scratch>] [--keep] [--alone]
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { cpus, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { writeSyntheticCheckpoint } from "./synthetic-checkpoint.mjs";

const { values: options } = parseArgs({
  options: {
    sizes: { type: "string", default: "1B" },
    threads: { type: "string", default: String(cpus().length) },
    folder: { type: "string" },
    keep: { type: "boolean", default: false },
    kernels: { type: "string", default: "native" },
    alone: { type: "boolean", default: false },
  },
});
const quern = fileURLToPath(new URL("../../../apps/converter/bin/quern.js", import.meta.url));
const llama = fileURLToPath(new URL("./llama-library.mjs", import.meta.url));
// llama_ftype numbers of include/llama.h
const FILE_TYPES = { Q4_K_M: 15, Q8_0: 7 };

console.log(
  `${cpus()[0].model}, ${options.threads} threads of ${cpus().length} cores, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, Node ${process.version}, ${options.kernels} kernels\n`,
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
  readThrough(checkpoint);
  const convert = (types, folder) => [
    quern,
    "convert",
    checkpoint,
    "-t",
    types,
    "-o",
    folder,
    "--force",
    "--threads",
    options.threads,
    "--quiet",
  ];
  const folder = join(scratch, `${size}-out`);
  mkdirSync(folder, { recursive: true });
  const rows = [];
  for (const types of ["Q4_K_M", "Q8_0", "Q4_K_M,Q8_0"]) {
    rows.push({
      what: `quern: checkpoint -> ${types.replace(",", " + ")}`,
      ...(await measure(convert(types, folder))),
    });
  }
  if (!options.alone) rows.push(...(await measureLlama(folder, convert("BF16", folder))));
  if (!options.keep) {
    rmSync(checkpoint, { recursive: true });
    rmSync(folder, { recursive: true });
  }
  console.log(`${size}\n${"".padEnd(44)}${"wall s".padStart(9)}${"peak RSS MB".padStart(14)}`);
  for (const { what, seconds, peakBytes } of rows) {
    console.log(
      `${what.padEnd(44)}${seconds.toFixed(1).padStart(9)}${(peakBytes / 1e6).toFixed(0).padStart(14)}`,
    );
  }
  console.log();
}

/** llama.cpp's quantizer starts from a BF16 GGUF, which is not counted as its time. */
async function measureLlama(folder, convertToFull) {
  await measure(convertToFull);
  const full = join(
    folder,
    readdirSync(folder).find((file) => /BF16/i.test(file)),
  );
  const rows = [];
  for (const [type, fileType] of Object.entries(FILE_TYPES)) {
    const target = join(folder, `llama-${type}.gguf`);
    const peer = await measure([llama, full, target, String(fileType), options.threads]);
    rows.push({ what: `llama.cpp: BF16 GGUF -> ${type}`, ...peer });
    rmSync(target);
  }
  return rows;
}

/** Brings the files into the page cache, so that all runs start alike. */
function readThrough(folder) {
  for (const file of readdirSync(folder)) {
    if (statSync(join(folder, file)).size < 2 ** 31) readFileSync(join(folder, file));
  }
}

/** Runs a Node script as a process of its own and follows its resident high-water mark (VmHWM of /proc). */
function measure(script) {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const env = { ...process.env, QUERN_KERNELS: options.kernels };
    const child = spawn(process.execPath, script, { stdio: ["ignore", "ignore", "inherit"], env });
    let peakBytes = 0;
    const timer = setInterval(() => {
      try {
        const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
        peakBytes = Math.max(peakBytes, 1024 * Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0));
      } catch {
        // The process has just ended.
      }
    }, 20);
    child.on("error", reject);
    child.on("exit", (code) => {
      clearInterval(timer);
      if (code === 0) resolve({ seconds: (performance.now() - start) / 1000, peakBytes });
      else reject(new Error(`${script.slice(0, 2).join(" ")} exited with ${code}`));
    });
  });
}
