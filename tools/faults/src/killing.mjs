// Runs the command line, kills it at random moments, lets it go on, and looks at every file that it leaves.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, watch } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const quern = fileURLToPath(new URL("../../../apps/converter/bin/quern.js", import.meta.url));

/** A generator of numbers in [0, 1) that gives the same ones for the same seed (mulberry32). */
function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** When to kill: at any time of a run, soon after its first file is there, or soon after a file has its final name. */
const MOMENTS = ["any time", "begun", "named"];

/**
 * Kills runs of each case until there have been enough kills, each time lets the run go on to its end, perhaps after further kills, and
 * compares.
 *
 * @param {object} params
 * @param {readonly Case[]} params.cases Taken in turn.
 *   A case: `name`; `argv(folder)`; `isFinal(name)` tells final names, paths within the folder, from those of unfinished work;
 *   `prepare(folder, files)` puts older files there, if any, and gives their hashes by name (`files` has those of the undisturbed run);
 *   `kept(events)` says how much a run went on with; `check(states, files)`, where names depend on each other, gets "old" or "new" by
 *   final name; `isRecord(name)` tells files that stay and are not compared; `env` is for the process; `remote` is where things go besides:
 *   `reset()`, `undisturbed()` and `ended()` behind a run that nobody disturbed and behind one that has come to its end, `check()` after a
 *   kill, `requests`, how many of them an undisturbed run made, and `onRequest`, called at each.
 * @param {number} params.kills How many.
 * @param {string} params.scratch A folder for everything.
 * @param {number} params.seed
 * @returns one row for each case and moment: how many kills there were, what they left and how much was kept
 */
export async function killRuns({ cases, kills, scratch, seed }) {
  const random = randomFrom(seed);
  const expected = [];
  for (const one of cases) expected.push(await undisturbed(one, join(scratch, "expected")));
  const rows = new Map();
  for (let killed = 0, round = 0; killed < kills; round++) {
    const which = round % cases.length;
    const one = cases[which];
    const folder = join(scratch, "killed");
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    const old = one.prepare?.(folder, expected[which].files) ?? new Map();
    await one.remote?.reset();
    let run;
    for (;;) {
      // One run of three is killed again while it goes on.
      const disturb = killed < kills && (run === undefined || random() < 1 / 3);
      const moments = one.remote === undefined ? MOMENTS : [...MOMENTS, "asked"];
      const moment = moments[Math.floor(random() * moments.length)];
      const share = random();
      run = await runOnce({
        one,
        folder,
        ...(disturb && { moment, share, seconds: expected[which].seconds }),
      });
      if (!run.killed) {
        if (run.code !== 0)
          throw new Error(`${one.name}, round ${round}: exit code ${run.code}\n${run.stderr}`);
        addKept(rows, one, run);
        break;
      }
      killed++;
      addKept(rows, one, run);
      await one.remote?.check();
      const phase = inspect({ one, folder, old, expected: expected[which], round });
      const key = `${one.name}|${moment}|${phase}`;
      const row = rows.get(key) ?? { case: one.name, moment, phase, kills: 0, seconds: 0 };
      row.kills++;
      row.seconds += run.seconds;
      rows.set(key, row);
      process.stderr.write(`\r${killed} of ${kills} kills`);
      // It had nothing left to do but to say so: the next one would be another run.
      if (phase === "complete" && one.remote === undefined) break;
    }
    compare({ one, folder, expected: expected[which], round });
    await one.remote?.ended();
  }
  process.stderr.write("\n");
  return [...rows.values()].sort((a, b) =>
    a.case + a.moment + a.phase < b.case + b.moment + b.phase ? -1 : 1,
  );
}

/** How much runs went on with that came after a kill. */
function addKept(rows, one, run) {
  if (run.kept === undefined) return;
  const key = `${one.name}|resumed`;
  const row = rows.get(key) ?? {
    case: one.name,
    moment: "(went on)",
    phase: "",
    kills: 0,
    seconds: 0,
    kept: 0,
    runs: 0,
  };
  row.runs++;
  row.kept += run.kept;
  row.seconds += run.seconds;
  rows.set(key, row);
}

async function undisturbed(one, folder) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  await one.remote?.reset();
  const run = await runOnce({ one, folder });
  if (run.code !== 0) throw new Error(`${one.name}: exit code ${run.code}\n${run.stderr}`);
  await one.remote?.undisturbed();
  return { files: hashes(folder, one), seconds: run.seconds };
}

/** @returns what came of a run; killed at a moment, if one is named */
function runOnce({ one, folder, moment, share, seconds }) {
  return new Promise((resolve, reject) => {
    const started = performance.now();
    const child = spawn(process.execPath, [quern, ...one.argv(folder)], {
      stdio: ["ignore", "pipe", "pipe"],
      env: one.env ?? process.env,
    });
    let stdout = "";
    let stderr = "";
    let armed = false;
    const kill = () => child.kill("SIGKILL");
    const arm = (milliseconds) => {
      if (armed) return;
      armed = true;
      setTimeout(kill, milliseconds);
    };
    let watcher;
    if (moment === "any time") arm(share * seconds * 1000);
    else if (moment === "asked") {
      let left = Math.floor(share * one.remote.requests);
      one.remote.onRequest = () => left-- === 0 && arm(((share * 1000) % 1) * 4);
    } else if (moment !== undefined) {
      watcher = watch(folder, (_event, name) => {
        if (moment === "begun") arm(share * seconds * 700);
        else if (name !== null && one.isFinal(name)) arm(share * 8);
      });
    }
    child.stdout.setEncoding("utf8").on("data", (text) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text) => (stderr += text));
    child.on("error", reject);
    child.on("close", (code, signal) => {
      watcher?.close();
      if (one.remote !== undefined) one.remote.onRequest = undefined;
      resolve({
        code,
        killed: signal === "SIGKILL",
        stderr,
        kept: one.kept(eventsIn(stdout)),
        seconds: (performance.now() - started) / 1000,
      });
    });
  });
}

function eventsIn(stdout) {
  return stdout.split("\n").flatMap((line) => {
    try {
      return [JSON.parse(line)];
    } catch {
      // The last line of a process that was killed may be torn.
      return [];
    }
  });
}

/** Checks that no final name has anything but a whole file. @returns how far the run had come */
function inspect({ one, folder, old, expected, round }) {
  const states = new Map();
  const found = hashes(folder, one);
  for (const [name, hash] of found) {
    if (!one.isFinal(name)) continue;
    const state = hash === expected.files.get(name) ? "new" : hash === old.get(name) ? "old" : "partial";
    if (state === "partial") throw new Error(`${one.name}, round ${round}: ${name} is neither old nor whole`);
    states.set(name, state);
  }
  one.check?.(states, expected.files);
  const finished = [...states.values()].filter((state) => state === "new").length;
  const isClean = [...found.keys()].every((name) => one.isFinal(name));
  if (finished === expected.files.size) return isClean ? "complete" : "all named";
  if (finished > 0) return "some named";
  return isClean ? "nothing yet" : "writing";
}

/** Checks that there are the files of the undisturbed run, and nothing else. */
function compare({ one, folder, expected, round }) {
  const found = hashes(folder, one);
  for (const name of new Set([...found.keys(), ...expected.files.keys()])) {
    if (found.get(name) === expected.files.get(name)) continue;
    const what = found.has(name)
      ? expected.files.has(name)
        ? "is another file"
        : "is left over"
      : "is missing";
    throw new Error(`${one.name}, round ${round}: ${name} ${what}`);
  }
}

/** By path within the folder. */
function hashes(folder, { isRecord }) {
  return new Map(
    readdirSync(folder, { withFileTypes: true, recursive: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
      .map((path) => [relative(folder, path), path])
      .filter(([name]) => isRecord?.(name) !== true)
      .map(([name, path]) => [name, createHash("sha256").update(readFileSync(path)).digest("hex")])
      .sort(),
  );
}

/** Prints what {@link killRuns} gives. */
export function printKills(rows, unit) {
  const line = (...cells) =>
    console.log(
      cells.map((cell, index) => (index < 3 ? String(cell).padEnd(22) : String(cell).padStart(12))).join(""),
    );
  line("case", "killed when", "left", "kills", "mean s", `mean ${unit}`);
  for (const row of rows) {
    const runs = row.runs ?? row.kills;
    line(
      row.case,
      row.moment,
      row.phase,
      row.kills || "",
      (row.seconds / runs).toFixed(2),
      row.runs ? (row.kept / row.runs).toFixed(1) : "",
    );
  }
  console.log(
    `${rows.reduce((sum, { kills }) => sum + kills, 0)} kills; every run ended in the bytes of an undisturbed one, and no final name ever had anything else.`,
  );
}
