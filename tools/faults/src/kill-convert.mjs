// Kills `quern convert` at random moments with SIGKILL, lets it go on, and compares byte by byte with a run that nobody disturbs.
//   node tools/faults/src/kill-convert.mjs <checkpoint> [--kills 200] [--seed 1,2,3,4] [--case <names>] [--types Q4_K_M,Q8_0] [--scratch <folder>]
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startHub } from "../../bench/src/start-hub.mjs";
import { runCases } from "./run-cases.mjs";

const quern = fileURLToPath(new URL("../../../apps/converter/bin/quern.js", import.meta.url));

await runCases({
  program: "kill-convert.mjs",
  options: { types: { type: "string", default: "Q4_K_M,Q8_0" } },
  unit: "tensors kept",
  async makeCases({ checkpoint, options, scratch }) {
    const statistics = join(scratch, "statistics.safetensors");
    execFileSync(
      process.execPath,
      [quern, "calibrate", checkpoint, "--tokens", "512", "-o", statistics, "-q"],
      {
        stdio: "ignore",
      },
    );
    const id = "org/model";
    const hub = await startHub({ id, folder: checkpoint, scratch });
    const filesOf =
      (types, ...more) =>
      (folder) => ["convert", checkpoint, "-t", types, "-o", `${folder}/`, "--json", ...more];
    const files = {
      isFinal: (name) => name.endsWith(".gguf"),
      kept,
      argv: (...more) => filesOf(options.types, ...more),
    };
    const folder = {
      isFinal: (name) => name.startsWith("model/"),
      kept,
      check: checkFolder,
      argv:
        (...more) =>
        (where) => ["convert", checkpoint, "-o", join(where, "model"), "--json", ...more],
    };
    return {
      stop: hub.stop,
      cases: [
        { ...files, name: "several outputs", argv: files.argv() },
        {
          ...files,
          name: "split over old files",
          argv: files.argv("--split-max-tensors", "25", "--force"),
          prepare: putOldFiles,
          check: checkSets,
        },
        { ...files, name: "Wasm without threads", argv: files.argv("-j", "0", "--kernels", "wasm") },
        {
          ...files,
          name: "from the Hub",
          argv: (where) => files.argv()(where).with(1, `hf:${id}`),
          env: { PATH: process.env.PATH, HF_ENDPOINT: hub.endpoint, HF_HOME: join(scratch, "home") },
        },
        {
          ...files,
          name: "sequential",
          argv: filesOf("Q4_K_M", "--rounding", "gptq", "--sequential", "--tokens", "512"),
        },
        { ...folder, name: "mlx", argv: folder.argv("--to", "mlx") },
        {
          ...folder,
          name: "mlx over a folder",
          argv: folder.argv("--to", "mlx", "--force"),
          prepare: putOldFolder,
        },
        { ...folder, name: "gptq", argv: folder.argv("--to", "gptq", "--statistics", statistics) },
        {
          ...folder,
          name: "gptq sequential",
          argv: folder.argv("--to", "gptq", "--sequential", "--tokens", "512"),
        },
      ],
    };
  },
});

function kept(events) {
  return events.find(({ type }) => type === "resume")?.tensors;
}

/** Files with the names of the sets, as an older conversion might have left them. */
function putOldFiles(folder, files) {
  return new Map([...files.keys()].map((name) => [name, putOldFile(folder, name)]));
}

/** An older folder, with a file that the new one has not. */
function putOldFolder(folder) {
  mkdirSync(join(folder, "model"));
  const names = ["model/config.json", "model/notes.txt"];
  return new Map(names.map((name) => [name, putOldFile(folder, name)]));
}

function putOldFile(folder, name) {
  const text = `older ${name}`;
  writeFileSync(join(folder, name), text);
  return createHash("sha256").update(text).digest("hex");
}

/** A folder has its name once all of it is there, and nothing of an older one. */
function checkFolder(states, expected) {
  const found = [...states.values()];
  const news = found.filter((state) => state === "new").length;
  if (news === 0 || (news === expected.size && news === found.length)) return;
  throw new Error(`the folder has ${news} files of ${expected.size}, and ${found.length - news} others`);
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
