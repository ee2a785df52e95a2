// GPTQ of one layer beside the original implementation and llm-compressor's, on the same weights and the same Hessian: symmetric 4 bits in
// groups of 128, columns in natural order, 1 % of damping; and as our recipe `gptq-w4-g128` has it. Time and what outputs lose.
//   node tools/bench/src/gptq-peers.mjs --python <interpreter with torch> [--gptq <checkout>] [--llm-compressor <checkout>]
//       [--sizes 2048x2048,2048x8192] [--threads 1,2] [--rounds 3]
// Needs the packages built. Checkouts are of IST-DASLab/gptq and of vllm-project/llm-compressor, which needs compressed-tensors besides;
// both run on a processor as they are. Rounds interleave all of them; a figure is the median. Inputs are made up: neighbouring columns
// go together, some columns are large. Errors are tr(E H E^T) / tr(W H W^T).
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { loadKernels } from "@quern/kernels";
import { membersOf, outputError, roundMatrix } from "@quern/quantize";
import { presetNamed } from "@quern/recipes";

const TOKENS = 131_072;
const grid = (scaleType) => ({
  name: "uniform",
  options: { bits: 4, symmetric: true, tile: { columns: 128 }, ...(scaleType && { scaleType }) },
});
const plain = (options) => ({
  grid: grid("F32"),
  rounding: { name: "gptq", options: { damping: 0.01, ...options } },
});
const { rounding, calibrator } = presetNamed("gptq-w4-g128");
const OURS = {
  "quern, groups as entered": plain({ tiles: "dynamic" }),
  "quern, groups fitted before": plain(),
  "quern, gptq-w4-g128": { grid: grid(), rounding, calibrator },
};
const PEERS = { gptq: "IST-DASLab/gptq", "llm-compressor": "llm-compressor" };

const kernels = await loadKernels();
if (isMainThread) await compare();
else parentPort.on("message", (task) => parentPort.postMessage(work(task), []));

/** Of one thread: what all rows share, or some rows. */
function work({ treatment, shape, values, hessian, feedback, firstRow, rows }) {
  const { rounding, ...members } = membersOf(treatment, { kernels });
  const { math } = kernels;
  const known = { matrix: hessian, tokens: TOKENS };
  if (feedback === undefined) {
    const allocate = (size) => new SharedArrayBuffer(size);
    return rounding.prepare({ hessian: known, grid: members.grid, shape, allocate, math });
  }
  const { columns } = shape;
  const part = values.slice(firstRow * columns, (firstRow + rows) * columns);
  const matrix = { rows, columns, values: part };
  return roundMatrix({ ...members, rounding, matrix, hessian: known, feedback, math }).values;
}

async function compare() {
  const { values: options } = parseArgs({
    options: {
      python: { type: "string" },
      gptq: { type: "string", default: "-" },
      "llm-compressor": { type: "string", default: "-" },
      sizes: { type: "string", default: "2048x2048,2048x8192" },
      threads: { type: "string", default: "1,2" },
      rounds: { type: "string", default: "3" },
    },
  });
  const counts = options.threads.split(",").map(Number);
  const folder = mkdtempSync(join(tmpdir(), "quern-bench-"));
  const peers = options.python && (await startPeers(options));
  const threads = Array.from(
    { length: Math.max(...counts) },
    () => new Worker(fileURLToPath(import.meta.url)),
  );
  const torch = peers ? `, torch ${peers.torch}` : "";
  console.log(`${cpus()[0].model}, Node ${process.version}, ${kernels.info.isa}${torch}`);
  try {
    for (const size of options.sizes.split(",")) {
      const [rows, columns] = size.split("x").map(Number);
      const layer = madeUp({ rows, columns, folder });
      const results = new Map();
      for (let round = 0; round < Number(options.rounds); round++) {
        for (const count of counts) {
          for (const name of peers?.names ?? []) {
            add(results, PEERS[name], count, await peers.run({ peer: name, threads: count, ...layer.files }));
          }
          for (const [name, treatment] of Object.entries(OURS)) {
            add(results, name, count, await run(threads.slice(0, count), treatment, layer));
          }
        }
      }
      print(layer, results, counts);
    }
  } finally {
    await Promise.all(threads.map((thread) => thread.terminate()));
    peers?.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

function madeUp({ rows, columns, folder }) {
  let state = columns;
  const random = () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
  const shared = (Type, length) => new Type(new SharedArrayBuffer(length * Type.BYTES_PER_ELEMENT));
  const values = shared(Float32Array, rows * columns);
  for (let i = 0; i < values.length; i++) values[i] = 0.02 * (random() + random() + random() - 1.5);
  const sizes = Float64Array.from({ length: columns }, (_, i) => (i % 97 === 0 ? 8 : 1) * (0.5 + random()));
  const hessian = shared(Float64Array, columns * columns);
  for (let i = 0, at = 0; i < columns; i++) {
    for (let j = 0; j < columns; j++, at++) hessian[at] = sizes[i] * sizes[j] * 0.9 ** Math.abs(i - j);
  }
  const [weights, statistics, output] = ["weights", "hessian", "output"].map((name) => join(folder, name));
  writeFileSync(weights, values);
  writeFileSync(statistics, Float32Array.from(hessian));
  return { rows, columns, values, hessian, files: { rows, columns, weights, hessian: statistics, output } };
}

async function run(threads, treatment, { rows, columns, values, hessian }) {
  const task = { treatment, shape: { rows, columns }, values, hessian };
  const before = process.cpuUsage();
  const started = performance.now();
  const feedback = await ask(threads[0], task);
  const each = Math.ceil(rows / threads.length);
  const parts = await Promise.all(
    threads.map((thread, index) => {
      const firstRow = index * each;
      return ask(thread, { ...task, feedback, firstRow, rows: Math.min(each, rows - firstRow) });
    }),
  );
  const clock = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(before);
  return { clock, processor: (user + system) / 1e6, values: concatenated(parts) };
}

async function ask(thread, task) {
  const answer = once(thread, "message");
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  thread.postMessage(task);
  return (await answer)[0];
}

function concatenated(parts) {
  const result = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}

/** A process that runs them; tasks are answered one after the other. */
async function startPeers({ python, gptq, "llm-compressor": compressor }) {
  const script = fileURLToPath(new URL("gptq_peers.py", import.meta.url));
  const child = spawn(python, [script, gptq, compressor], { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`${python} ended`);
    return JSON.parse(value);
  };
  const { peers, torch } = await next();
  return {
    names: peers,
    torch,
    async run(task) {
      child.stdin.write(`${JSON.stringify(task)}\n`);
      const seconds = await next();
      const { buffer, byteOffset, byteLength } = readFileSync(task.output);
      return { ...seconds, values: new Float32Array(buffer.slice(byteOffset, byteOffset + byteLength)) };
    },
    close: () => child.stdin.end(),
  };
}

function add(results, name, threads, { clock, processor, values }) {
  const known = results.get(name) ?? { times: new Map(), values };
  const times = known.times.get(threads) ?? [];
  known.times.set(threads, [...times, { clock, processor }]);
  results.set(name, known);
}

function print({ rows, columns, values: weights, hessian }, results, counts) {
  const heads = counts.map((count) => `${count} thread${count > 1 ? "s" : ""}: clock, processor`);
  console.log(`\n| ${rows} x ${columns} | ${heads.join(" | ")} | error, thousandths |`);
  console.log(`| --- |${counts.map(() => " ---: |").join("")} ---: |`);
  for (const [name, { times, values }] of results) {
    const matrix = { rows, columns, values: weights };
    const { relative } = outputError({ matrix, values, hessian, math: kernels.math });
    const cells = counts.map((count) => {
      const of = (what) => median(times.get(count).map((time) => time[what])).toFixed(2);
      return `${of("clock")} s, ${of("processor")} s`;
    });
    console.log(`| ${name} | ${cells.join(" | ")} | ${(1000 * relative).toFixed(3)} |`);
  }
}

function median(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}
