// Kills `quern convert` at random moments with SIGKILL, lets it go on, and compares byte by byte with a run that nobody disturbs.
//   node tools/faults/src/kill-convert.mjs <checkpoint> [--kills 200] [--seed 1] [--types Q4_K_M,Q8_0] [--scratch <folder>]
// Cases: several outputs; split sets over older files; Wasm kernels without threads.
// With --to mlx, or --to gptq and others for which inputs are known from --statistics: a quantized checkpoint.
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { killRuns, printKills } from "./killing.mjs";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    kills: { type: "string", default: "200" },
    seed: { type: "string", default: "1" },
    types: { type: "string", default: "Q4_K_M,Q8_0" },
    to: { type: "string" },
    statistics: { type: "string" },
    scratch: { type: "string" },
  },
});
const [checkpoint] = positionals;
if (checkpoint === undefined) throw new Error("name a checkpoint: kill-convert.mjs <folder>");

const isFinal = (name) => name.endsWith(".gguf");
const kept = (events) => events.find(({ type }) => type === "resume")?.tensors;
const argv = (folder, ...more) => [
  "convert",
  checkpoint,
  "-t",
  options.types,
  "-o",
  `${folder}/`,
  "--json",
  ...more,
];

const scratch = mkdtempSync(join(options.scratch ?? tmpdir(), "kill-convert-"));
try {
  const files = [
    { name: "several outputs", argv, isFinal, kept },
    {
      name: "split, over old files",
      argv: (folder) => argv(folder, "--split-max-tensors", "25", "--force"),
      isFinal,
      kept,
      prepare: putOldFiles,
      check: checkSets,
    },
    {
      name: "Wasm, no threads",
      argv: (folder) => argv(folder, "-j", "0", "--kernels", "wasm"),
      isFinal,
      kept,
    },
  ];
  const rows = await killRuns({
    kills: Number(options.kills),
    seed: Number(options.seed),
    scratch,
    cases: options.to === undefined ? files : [checkpointCase(options.to, options.statistics)],
  });
  printKills(rows, "tensors kept");
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

/** A folder: it has its name once all of it is there. */
function checkpointCase(to, statistics) {
  return {
    name: `checkpoint, ${to}`,
    argv: (folder) => [
      "convert",
      checkpoint,
      "--to",
      to,
      ...(statistics === undefined ? [] : ["--statistics", statistics]),
      "-o",
      join(folder, "model"),
      "--json",
    ],
    isFinal: (name) => name === "model" || name.startsWith("model/"),
    kept,
    check: (states, expected) => {
      if (states.size !== 0 && states.size !== expected.size)
        throw new Error(`the folder has ${states.size} files of ${expected.size}`);
    },
  };
}

/** Files with the names of the sets, as an older conversion might have left them. */
function putOldFiles(folder, files) {
  const old = new Map();
  for (const name of files.keys()) {
    const text = `older ${name}`;
    writeFileSync(join(folder, name), text);
    old.set(name, createHash("sha256").update(text).digest("hex"));
  }
  return old;
}

/** The first file of a set, without which no reader finds the others, never stands beside those of another time. */
function checkSets(states) {
  for (const [name, state] of states) {
    const first = /^(.*)-00001-of-(\d+)\.gguf$/.exec(name);
    if (first === null) continue;
    for (const [other, otherState] of states) {
      if (!other.startsWith(`${first[1]}-`) || otherState === state) continue;
      throw new Error(`${name} is ${state}, and ${other} is ${otherState}`);
    }
  }
}
