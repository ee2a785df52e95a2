// What it costs to convert from the Hub instead of from a folder: wall time, processor time and peak resident memory of `quern convert`
// of one synthetic checkpoint from the local disk and, in turn, streamed from the Hub of the tests.
//   node tools/bench/src/hub.mjs [--size 1B] [--types Q4_K_M,Q8_0] [--rounds 3] [--threads 2] [--memory 256MiB] [--delay 50 --rate 40] \
//     [--folder <scratch>] [--keep]
// `--delay` and `--rate` make the server one that is far away: milliseconds until an answer begins, and megabytes per second of a connection.
// The server is a process of its own, but it has the same processors: what it takes of them is in the wall time, as it would not be with a
// server elsewhere. Figures are medians, with the worst in brackets. Files of both ways are compared.
import { createHash } from "node:crypto";
import { createReadStream, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { cpus, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { measureProcess } from "./measure-process.mjs";
import { startHub } from "./start-hub.mjs";
import { writeSyntheticCheckpoint } from "./synthetic-checkpoint.mjs";

const { values: options } = parseArgs({
  options: {
    size: { type: "string", default: "1B" },
    types: { type: "string", default: "Q4_K_M,Q8_0" },
    rounds: { type: "string", default: "3" },
    threads: { type: "string", default: String(cpus().length) },
    memory: { type: "string", default: "256MiB" },
    delay: { type: "string" },
    rate: { type: "string" },
    folder: { type: "string" },
    keep: { type: "boolean", default: false },
  },
});
const quern = fileURLToPath(new URL("../../../apps/converter/bin/quern.js", import.meta.url));
const scratch = options.folder ?? mkdtempSync(join(tmpdir(), "quern-bench-"));
mkdirSync(scratch, { recursive: true });
const checkpoint = join(scratch, options.size);
const outputs = join(scratch, "hub-out");
try {
  await run();
} finally {
  rmSync(outputs, { recursive: true, force: true });
  rmSync(join(scratch, "hub-server"), { recursive: true, force: true });
  if (!options.keep) rmSync(scratch, { recursive: true, force: true });
}

async function run() {
  console.log(
    `${cpus()[0].model}, ${cpus().length} cores, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, Node ${process.version}, ` +
      `${options.size}, ${options.rounds} rounds, ${options.threads} threads, buffers of ${options.memory}\n`,
  );
  if (!existsSync(join(checkpoint, "model.safetensors.index.json"))) {
    writeSyntheticCheckpoint(options.size, checkpoint);
  }
  mkdirSync(outputs, { recursive: true });
  // The name of the repository goes into the files, as that of the folder does.
  const id = `bench/${options.size}`;
  const isFar = options.delay !== undefined || options.rate !== undefined;
  const pace = isFar
    ? { delay: Number(options.delay ?? 0), rate: Number(options.rate ?? 1000) * 1e6 }
    : undefined;
  const server = await startHub({ id, folder: checkpoint, scratch, pace });
  try {
    const head = ["", "wall s", "CPU s", "server CPU s", "peak RSS MB", "x local"];
    console.log(head.map((text, column) => cell(text, column)).join(""));
    for (const type of options.types.split(",")) await measureType({ type, id, server });
  } finally {
    server.stop();
  }
}

async function measureType({ type, id, server }) {
  const ways = [
    { what: `${type} from the folder`, source: checkpoint, name: `local-${type}.gguf` },
    { what: `${type} from the Hub`, source: `hf:${id}`, name: `hub-${type}.gguf` },
  ];
  const results = ways.map(() => []);
  for (let round = 0; round < Number(options.rounds); round++) {
    // What goes first in one round goes last in the next one: neither always finds the other's writes in its way.
    const order = round % 2 === 0 ? [0, 1] : [1, 0];
    for (const index of order) results[index].push(await convert({ ...ways[index], type, server }));
  }
  const [local, remote] = ways.map(({ name }) => join(outputs, name));
  if ((await sha256(local)) !== (await sha256(remote))) {
    console.log(`DIFFERS: ${type} from the Hub is not what it is from the folder`);
    process.exitCode = 1;
  }
  const ratios = results[1].map(({ seconds }, round) => seconds / results[0][round].seconds);
  for (const [index, { what }] of ways.entries()) {
    const column = (key, digits) =>
      figure(
        results[index].map((result) => result[key]),
        digits,
      );
    const ratio = index === 0 ? "" : figure(ratios, 2);
    const cells = [
      what,
      column("seconds", 2),
      column("cpu", 2),
      column("serverCpu", 2),
      column("megabytes", 0),
      ratio,
    ];
    console.log(cells.map((text, at) => cell(text, at)).join(""));
  }
}

async function convert({ source, name, type, server }) {
  const before = cpuOf(server.pid);
  const script = [quern, "convert", source, "-t", type, "-o", join(outputs, name), "--force", "--json"];
  const limits = ["--threads", options.threads, "--memory", options.memory, "--flavour", "quantizer"];
  const { seconds, peakBytes, lastLine, cpuSeconds } = await measureProcess(
    process.execPath,
    [...script, ...limits],
    { ...process.env, HF_ENDPOINT: server.endpoint, HF_HOME: join(scratch, "no-cache"), HF_TOKEN: "" },
  );
  if (JSON.parse(lastLine).type !== "result") throw new Error(`${source}: no result`);
  return { seconds, cpu: cpuSeconds, serverCpu: cpuOf(server.pid) - before, megabytes: peakBytes / 1e6 };
}

/** Seconds of processor time that a process has taken so far; the kernel counts in hundredths. */
function cpuOf(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function figure(values, digits) {
  const sorted = [...values].sort((a, b) => a - b);
  return `${sorted[Math.floor(sorted.length / 2)].toFixed(digits)} (${sorted.at(-1).toFixed(digits)})`;
}

function cell(text, column) {
  return column === 0 ? text.padEnd(26) : text.padStart(16);
}

async function sha256(path) {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}
