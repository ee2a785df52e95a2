// Conversions by a queue, with one worker and with two of one thread each, beside local runs with one thread and with two: wall time of the
// process that the user starts, and how fast weights went through. Every round measures all in turn; figures are medians, with the worst in
// brackets. Workers run already, as they do where there is a queue. All files are compared.
//   node tools/bench/src/queue.mjs [--size 1B] [--layers 4] [--types Q4_K_M,Q6_K] [--rounds 3] [--folder <scratch>]
// With --to <container> or --recipe <name>, a checkpoint in safetensors instead of GGUF files.
// Starts a redis-server of its own (tools/redis.sh gets one).
import { spawn } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { createReadStream, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { cpus, tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { writeSyntheticCheckpoint } from "./synthetic-checkpoint.mjs";

const { values: options } = parseArgs({
  options: {
    size: { type: "string", default: "1B" },
    layers: { type: "string", default: "4" },
    types: { type: "string", default: "Q4_K_M,Q6_K" },
    to: { type: "string" },
    recipe: { type: "string" },
    rounds: { type: "string", default: "3" },
    folder: { type: "string" },
  },
});
const quern = fileURLToPath(new URL("../../../apps/converter/bin/quern.js", import.meta.url));
const rounds = Number(options.rounds);
const { to, recipe, types } = options;
const isFolder = to !== undefined || recipe !== undefined;
/** What is written. */
const wanted = isFolder
  ? [...(to ? ["--to", to] : []), ...(recipe ? ["--recipe", recipe] : [])]
  : ["-t", types];

const scratch = options.folder ?? mkdtempSync(join(tmpdir(), "quern-queue-"));
mkdirSync(scratch, { recursive: true });
const running = [];
try {
  await measure();
} finally {
  for (const child of running) child.kill("SIGKILL");
  rmSync(scratch, { recursive: true, force: true });
}

async function measure() {
  const checkpoint = join(scratch, "model");
  const weights = writeSyntheticCheckpoint(options.size, checkpoint, Number(options.layers));
  const address = await startRedis();
  const local = (threads) => ["-j", String(threads)];
  const contenders = [
    { name: "local, 1 thread", workers: 0, argv: local(1) },
    { name: "local, 2 threads", workers: 0, argv: local(2) },
    { name: "queue, 1 worker of 1 thread", workers: 1, argv: ["--queue", address, "--no-work"] },
    { name: "queue, 2 workers of 1 thread", workers: 2, argv: ["--queue", address, "--no-work"] },
  ].map((contender) => ({ ...contender, seconds: [] }));

  const hashes = new Set();
  for (let round = 0; round < rounds; round++) {
    for (const { workers, argv, seconds } of contenders) {
      const output = join(scratch, "out");
      const helpers = Array.from({ length: workers }, () =>
        start(process.execPath, [quern, "worker", "--queue", address, "-j", "1"]),
      );
      await Promise.all(helpers.map((helper) => said(helper.stderr, "works for")));
      const started = performance.now();
      await ended(
        start(process.execPath, [
          quern,
          "convert",
          checkpoint,
          "-q",
          ...wanted,
          "-o",
          isFolder ? output : `${output}/`,
          ...argv,
        ]),
      );
      seconds.push((performance.now() - started) / 1000);
      for (const helper of helpers) helper.kill("SIGTERM");
      await Promise.all(helpers.map(ended));
      hashes.add(await hashOf(output));
      rmSync(output, { recursive: true });
    }
  }
  console.log(
    `${cpus()[0].model}, ${cpus().length} cores, Node ${process.version}; ${(weights / 1e9).toFixed(2)} B weights (BF16), ${wanted.join(" ")}, ${rounds} rounds\n`,
  );
  console.log("| | seconds | million weights/s | of local, 1 thread |\n| --- | --- | --- | --- |");
  const [{ seconds: first }] = contenders;
  for (const { name, seconds } of contenders) {
    const typical = median(seconds);
    console.log(
      `| ${name} | ${typical.toFixed(1)} (${Math.max(...seconds).toFixed(1)}) | ${(weights / 1e6 / typical).toFixed(1)} | ${(median(first) / typical).toFixed(2)} |`,
    );
  }
  console.log(hashes.size === 1 ? "\nAll files are the same." : "\nFILES DIFFER");
  if (hashes.size !== 1) process.exitCode = 1;
}

/** @returns its address */
async function startRedis() {
  const cached = fileURLToPath(new URL("../../../node_modules/.cache/redis/bin", import.meta.url));
  const program = [...process.env.PATH.split(delimiter), cached]
    .map((folder) => join(folder, "redis-server"))
    .find((path) => existsSync(path));
  if (program === undefined) throw new Error("There is no redis-server: tools/redis.sh gets one.");
  const port = await freePort();
  const password = randomUUID();
  const argv = ["--port", String(port), "--bind", "127.0.0.1", "--dir", scratch, "--save", ""];
  const redis = start(program, [...argv, "--requirepass", password]);
  await said(redis.stdout, "Ready to accept");
  return `redis://:${password}@127.0.0.1:${port}`;
}

function start(program, argv) {
  const child = spawn(program, argv, { stdio: ["ignore", "pipe", "pipe"] });
  running.push(child);
  child.result = new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  child.stdout.resume();
  child.stderr.resume();
  return child;
}

async function ended(child) {
  const code = await child.result;
  running.splice(running.indexOf(child), 1);
  if (code !== 0) throw new Error(`${child.spawnargs.join(" ")} ended with ${code}`);
}

/** Waits for a text in a stream. */
function said(stream, text) {
  return new Promise((resolve) => {
    let all = "";
    stream.on("data", (part) => {
      all += part;
      if (all.includes(text)) resolve();
    });
  });
}

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function hashOf(folder) {
  const hash = createHash("sha256");
  for (const name of readdirSync(folder).sort()) {
    await pipeline(createReadStream(join(folder, name)), hash, { end: false });
  }
  return hash.digest("hex");
}

function median(numbers) {
  return [...numbers].sort((one, other) => one - other)[Math.floor(numbers.length / 2)];
}
