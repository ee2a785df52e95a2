// Our matrix operations against OpenBLAS in one process, on one thread and on two:
//   node tools/bench/src/math.mjs [--openblas libopenblas.so] [--sizes 1024,2048] [--rounds 7] [--operations gemm,cholesky]
// Needs the packages built. Every round measures OpenBLAS and each of our instruction sets in turn; a ratio is the median of the
// rounds' ratios. Without --openblas (a system's library, or the one inside NumPy), there are our figures only.
// One thread is timed by processor time, so that other work on the machine disturbs it less; two threads by the clock.
import { availableParallelism, cpus } from "node:os";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Worker, isMainThread, parentPort, workerData } from "node:worker_threads";
import { kernelInfo, loadKernels } from "@quern/kernels";
import koffi from "koffi";

/** Milliseconds for which threads of OpenBLAS wait for more work at full load (THREAD_TIMEOUT: 2^26 cycles), with some to spare. */
const SPIN = 60;

/** Milliseconds of running before the first measurement, in which V8 optimizes Wasm. */
const WARM_UP = 100;

/**
 * Operations on matrices of `size`: arrays (in shared memory), how many floating-point operations they are, and what a share of the
 * work is. `share` is the half-open range of rows of weights, tokens or heads as parts of 1.
 */
const OPERATIONS = {
  "gemm F32": {
    arrays: (n) => ({ a: floats(n * n), b: floats(n * n), c: shared(Float32Array, n * n) }),
    work: (n) => 2 * n ** 3,
    run: ({ math }, n, { a, b, c }, share) =>
      linear(math, n, { a, b, c, bType: "F32", rowBytes: 4 * n }, share),
    reference: "sgemm",
  },
  "gemm BF16": {
    arrays: (n) => ({ a: floats(n * n), b: quantized("BF16", n), c: shared(Float32Array, n * n) }),
    work: (n) => 2 * n ** 3,
    run: ({ math }, n, { a, b, c }, share) =>
      linear(math, n, { a, b, c, bType: "BF16", rowBytes: 2 * n }, share),
    reference: "sgemm",
  },
  "gemm Q4_K": {
    arrays: (n) => ({ a: floats(n * n), b: quantized("Q4_K", n), c: shared(Float32Array, n * n) }),
    work: (n) => 2 * n ** 3,
    run: ({ math }, n, { a, b, c }, share) =>
      linear(math, n, { a, b, c, bType: "Q4_K", rowBytes: (n / 256) * 144 }, share),
    reference: "sgemm",
  },
  syrk: {
    arrays: (n) => ({ x: floats(n * n), h: shared(Float64Array, n * n) }),
    work: (n) => n ** 3,
    run({ math }, n, { x, h }, [from, to]) {
      // Rows further down have more to do.
      const firstRow = Math.round(n * Math.sqrt(from));
      const rows = Math.round(n * Math.sqrt(to)) - firstRow;
      math.syrk({ x, tokens: n, n, h: h.subarray(firstRow * n), firstRow, rows });
    },
    reference: "ssyrk",
  },
  cholesky: {
    arrays: (n) => ({ matrix: shared(Float64Array, n * n), original: positiveDefinite(n) }),
    work: (n) => n ** 3 / 3,
    run({ math }, n, { matrix, original }) {
      matrix.set(original);
      math.cholesky({ matrix, n });
    },
    reference: "dpotrf",
    oneThread: true,
  },
  choleskyOfInverse: {
    arrays: (n) => ({ matrix: shared(Float64Array, n * n), original: positiveDefinite(n) }),
    work: (n) => (2 * n ** 3) / 3,
    run({ math }, n, { matrix, original }) {
      matrix.set(original);
      math.choleskyOfInverse({ matrix, n });
    },
    oneThread: true,
  },
  "attention, 8 of 16 heads of 128": {
    arrays: (n) => ({
      q: floats(n * 2048),
      k: floats(n * 1024),
      v: floats(n * 1024),
      y: shared(Float32Array, n * 2048),
    }),
    work: (n) => 2 * n * n * 2048,
    run({ math }, n, { q, k, v, y }, [from, to]) {
      // Later tokens see more keys.
      const first = Math.round(n * Math.sqrt(from));
      const tokens = Math.round(n * Math.sqrt(to)) - first;
      const part = { q: q.subarray(first * 2048), y: y.subarray(first * 2048), firstPosition: first };
      math.attention({
        ...part,
        k,
        v,
        tokens,
        keys: n,
        heads: 16,
        kvHeads: 8,
        headSize: 128,
        scale: 128 ** -0.5,
      });
    },
  },
};

let lent;
if (isMainThread) await main();
else await serve();

async function main() {
  const { values: options } = parseArgs({
    options: {
      openblas: { type: "string" },
      sizes: { type: "string", default: "1024,2048" },
      rounds: { type: "string", default: "7" },
      operations: { type: "string", default: "" },
    },
  });
  const blas = options.openblas ? openBlas(options.openblas) : undefined;
  const choices = (await kernelInfo()).flatMap(({ backend, isas }) => isas.map((isa) => ({ backend, isa })));
  const kernels = await Promise.all(choices.map(loadKernels));
  lent = kernels[0];
  const workers = await Promise.all([startWorker(choices), startWorker(choices)]);
  console.log(
    `${cpus()[0].model}, ${availableParallelism()} cores, Node ${process.version}, ${options.rounds} rounds`,
  );
  console.log("GFLOP/s, and how many times OpenBLAS's speed (best rounds; ratio: median of rounds)");
  const names = [...(blas ? ["OpenBLAS"] : []), ...kernels.map(({ info }) => `${info.backend} ${info.isa}`)];
  console.log(row(["operation", "size", "threads", ...names]));

  for (const size of options.sizes.split(",").map(Number)) {
    for (const [name, operation] of Object.entries(OPERATIONS)) {
      if (!options.operations.split(",").some((start) => name.startsWith(start))) continue;
      const arrays = operation.arrays(size);
      const reference = blas?.[operation.reference];
      for (const threads of operation.oneThread ? [1] : [1, 2]) {
        const runs = names.map((_, column) => {
          const index = column - (blas ? 1 : 0);
          if (index < 0) {
            return reference && (() => timed(threads, () => reference(size, arrays, threads)));
          }
          if (threads === 1) return () => timed(1, () => operation.run(kernels[index], size, arrays, [0, 1]));
          return () =>
            timed(2, () => Promise.all(workers.map((ask, half) => ask({ name, size, index, arrays, half }))));
        });
        await report([name, size, threads], runs, operation.work(size), Number(options.rounds), blas);
      }
    }
  }
  for (const ask of workers) ask.stop();
}

async function report(labels, runs, work, rounds, blas) {
  for (const run of runs) {
    const end = performance.now() + WARM_UP;
    while (performance.now() < end) await run?.();
  }
  const times = [];
  for (let round = 0; round < rounds; round++) {
    const round = [];
    for (const run of runs) {
      round.push(run ? await run() : undefined);
      if (blas) await setTimeout(SPIN);
    }
    times.push(round);
  }
  const cells = runs.map((run, column) => {
    if (!run) return "";
    const speed = work / Math.min(...times.map((round) => round[column])) / 1e6;
    if (!blas || column === 0 || !runs[0]) return speed.toFixed(1);
    return `${speed.toFixed(1)} (${median(times.map((round) => round[0] / round[column])).toFixed(2)})`;
  });
  console.log(row([...labels, ...cells]));
}

/** Milliseconds. */
async function timed(threads, run) {
  if (threads > 1) {
    const start = performance.now();
    await run();
    return performance.now() - start;
  }
  const start = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
}

function linear(math, n, { a, b, c, bType, rowBytes }, [from, to]) {
  const first = Math.round(n * from);
  const count = Math.round(n * to) - first;
  const bytes = new Uint8Array(b.buffer, first * rowBytes, count * rowBytes);
  math.gemm({ m: n, n: count, k: n, a, b: bytes, bType, transposeB: true, c: c.subarray(first), cStride: n });
}

// ---- Data

function shared(Kind, length) {
  return new Kind(new SharedArrayBuffer(length * Kind.BYTES_PER_ELEMENT));
}

function floats(length) {
  const array = shared(Float32Array, length);
  for (let i = 0; i < length; i++) array[i] = Math.random() - 0.5;
  return array;
}

function quantized(type, n) {
  const source = new Uint8Array(floats(n * n).buffer);
  const target = shared(Uint8Array, type === "BF16" ? 2 * n * n : (n * n * 144) / 256);
  lent.quantize({ type, sourceType: "F32", source, target, rows: n, columns: n });
  return target;
}

function positiveDefinite(n) {
  const matrix = shared(Float64Array, n * n);
  lent.math.syrk({ x: floats(2 * n * n), tokens: 2 * n, n, h: matrix });
  lent.math.mirror({ matrix, n });
  return matrix;
}

// ---- OpenBLAS

/** Row-major single products and symmetric products, and the Cholesky factorization, of square matrices. */
function openBlas(path) {
  const library = koffi.load(path);
  const find = (names, result, parameters) => {
    for (const [name, suffix] of names.flatMap((name) => [
      [name, ""],
      [name, "64_"],
      [`scipy_${name}`, "64_"],
    ])) {
      const symbol = name.endsWith("potrf_") && suffix ? `${name.slice(0, -1)}_${suffix}` : name + suffix;
      try {
        const integer = suffix ? "int64_t" : "int";
        return library.func(
          symbol,
          result,
          parameters.map((type) => type.replace("integer", integer)),
        );
      } catch {
        continue;
      }
    }
    throw new Error(`${path} has none of ${names.join(", ")}`);
  };
  const setThreads = find(["openblas_set_num_threads"], "void", ["int"]);
  const order = ["int", "int", "int", "integer", "integer"];
  const sgemm = find(["cblas_sgemm"], "void", [
    ...order,
    "integer",
    "float",
    "const void *",
    "integer",
    "const void *",
    "integer",
    "float",
    "void *",
    "integer",
  ]);
  const ssyrk = find(["cblas_ssyrk"], "void", [
    ...order,
    "float",
    "const void *",
    "integer",
    "float",
    "void *",
    "integer",
  ]);
  const dpotrf = find(["dpotrf_"], "void", ["const char *", "integer *", "void *", "integer *", "integer *"]);
  const scratch = new Map();
  const product = (n) => scratch.get(n) ?? scratch.set(n, shared(Float32Array, n * n)).get(n);
  // CblasRowMajor, CblasNoTrans, CblasTrans, CblasLower.
  return {
    sgemm(n, { a, b, c }, threads) {
      const weights = b.length === n * n && b instanceof Float32Array ? b : a;
      setThreads(threads);
      sgemm(101, 111, 112, n, n, n, 1, a, n, weights, n, 0, c, n);
    },
    ssyrk(n, { x }, threads) {
      setThreads(threads);
      ssyrk(101, 122, 112, n, n, 1, x, n, 1, product(n), n);
    },
    dpotrf(n, { matrix, original }, threads) {
      matrix.set(original);
      setThreads(threads);
      dpotrf("U", [n], matrix, [n], [0]);
    },
  };
}

// ---- The second thread, and the first

async function startWorker(choices) {
  const worker = new Worker(fileURLToPath(import.meta.url), { workerData: choices });
  const answers = [];
  worker.on("message", () => answers.shift()());
  await new Promise((resolve) => answers.push(resolve));
  const ask = (task) =>
    new Promise((resolve) => {
      answers.push(resolve);
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
      worker.postMessage(task);
    });
  ask.stop = () => worker.terminate();
  return ask;
}

async function serve() {
  const post = (message) => parentPort.postMessage(message, []);
  const kernels = await Promise.all(workerData.map(loadKernels));
  parentPort.on("message", ({ name, size, index, arrays, half }) => {
    OPERATIONS[name].run(kernels[index], size, arrays, [half / 2, (half + 1) / 2]);
    post("done");
  });
  post("ready");
}

// ---- Text

function row(cells) {
  const widths = [32, 5, 7];
  return cells
    .map((cell, i) => String(cell).padEnd(widths[i] ?? 17))
    .join(" ")
    .trimEnd();
}

function median(values) {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
}
