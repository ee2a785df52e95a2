// Runs the command line, kills it at random moments, lets it go on, and looks at every file that it leaves.
import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const quern = fileURLToPath(new URL("../../../apps/converter/bin/quern.js", import.meta.url));
const shim = fileURLToPath(new URL("../../../apps/converter/src/testing/write-faults.c", import.meta.url));

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

/**
 * When to kill: at any time of a run; at one of its calls that change files, any or one of the last ones, among which files get their names and
 * journals end; a write is done by half.
 */
const MOMENTS = ["any time", "a call", "a last call"];

/** How many calls the last ones are. */
const LAST_CALLS = 16;

/** Of runs that go on, so many are killed again. */
const KILLED_AGAIN = 1 / 2;

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
 * @param {number} params.kills How many, all cases and seeds together.
 * @param {readonly number[]} params.seeds Each gives a part of the kills.
 * @param {string} params.scratch A folder for everything.
 * @returns one row for each case and moment: how many kills there were, what they left and how much was kept
 */
export async function killRuns({ cases, kills, scratch, seeds }) {
  const library = join(scratch, "write-faults.so");
  execFileSync(process.env.CC ?? "cc", ["-shared", "-fPIC", "-O1", "-o", library, shim, "-ldl"]);
  const expected = [];
  for (const one of cases) expected.push(await undisturbed({ one, scratch, library }));
  const rows = new Map();
  let killed = 0;
  for (const [index, seed] of seeds.entries()) {
    const random = randomFrom(seed);
    const wanted = Math.round((kills * (index + 1)) / seeds.length);
    for (let round = 0; killed < wanted; round++) {
      const which = round % cases.length;
      const place = `${cases[which].name}, seed ${seed}, round ${round}`;
      const work = { one: cases[which], expected: expected[which], place, scratch, library, rows, random };
      killed += await killRound({ ...work, most: wanted - killed });
      process.stderr.write(`\r${killed} of ${kills} kills`);
    }
  }
  process.stderr.write("\n");
  return [...rows.values()].sort((a, b) =>
    a.case + a.moment + a.phase < b.case + b.moment + b.phase ? -1 : 1,
  );
}

/** One publication, conversion or calibration from its beginning to its end. @returns how often it was killed */
async function killRound({ one, expected, place, scratch, library, rows, random, most }) {
  const folder = join(scratch, "killed");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const old = one.prepare?.(folder, expected.files) ?? new Map();
  await one.remote?.reset();
  for (let killed = 0; ;) {
    const disturb = killed < most && (killed === 0 || random() < KILLED_AGAIN);
    const moments = one.remote === undefined ? MOMENTS : [...MOMENTS, "a request"];
    const moment = moments[Math.floor(random() * moments.length)];
    const share = random();
    const run = await runOnce({ one, folder, library, ...(disturb && { moment, share, expected }) });
    addKept(rows, one, run);
    if (!run.killed) {
      if (run.code !== 0) throw new Error(`${place}: exit code ${run.code}\n${run.stderr}`);
      compare({ one, folder, expected, place });
      checkBeside(folder, place);
      await one.remote?.ended();
      return killed;
    }
    killed++;
    await one.remote?.check();
    const phase = inspect({ one, folder, old, expected, place });
    const key = `${one.name}|${moment}|${phase}`;
    const row = rows.get(key) ?? { case: one.name, moment, phase, kills: 0, seconds: 0 };
    row.kills++;
    row.seconds += run.seconds;
    rows.set(key, row);
    // It had nothing left to do but to say so: the next one would be another run.
    if (phase === "complete" && one.remote === undefined) {
      compare({ one, folder, expected, place });
      return killed;
    }
  }
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

async function undisturbed({ one, scratch, library }) {
  const folder = join(scratch, "expected");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  await one.remote?.reset();
  const count = join(scratch, "calls");
  const run = await runOnce({ one, folder, library, count });
  if (run.code !== 0) throw new Error(`${one.name}: exit code ${run.code}\n${run.stderr}`);
  await one.remote?.undisturbed();
  return { files: hashes(folder, one), seconds: run.seconds, calls: Number(readFileSync(count, "utf8")) };
}

/** @returns what came of a run; killed at a moment, if one is named */
function runOnce({ one, folder, library, count, moment, share, expected }) {
  return new Promise((resolve, reject) => {
    const started = performance.now();
    const child = spawn(process.execPath, [quern, ...one.argv(folder)], {
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...(one.env ?? process.env),
        LD_PRELOAD: library,
        UV_USE_IO_URING: "0",
        WRITE_FAULTS_PATH: folder,
        WRITE_FAULTS_CALL: "any",
        WRITE_FAULTS_ERROR: "0",
        ...(count && { WRITE_FAULTS_COUNT: count }),
        ...(moment?.endsWith("call") && {
          WRITE_FAULTS_AFTER: String(callOf(moment, share, expected.calls)),
        }),
      },
    });
    let stdout = "";
    let stderr = "";
    const kill = () => child.kill("SIGKILL");
    let timer;
    if (moment === "any time") timer = setTimeout(kill, share * expected.seconds * 1000);
    else if (moment === "a request") {
      let left = Math.floor(share * one.remote.requests);
      // At once, or while it is answered.
      const wait = ((share * 1000) % 1) * 4;
      one.remote.onRequest = () => {
        if (left-- === 0) timer = setTimeout(kill, wait);
      };
    }
    child.stdout.setEncoding("utf8").on("data", (text) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text) => (stderr += text));
    child.on("error", reject);
    child.on("close", (code, signal) => {
      clearTimeout(timer);
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

/** How many calls go before. */
function callOf(moment, share, calls) {
  const first = moment === "a call" ? 0 : Math.max(0, calls - LAST_CALLS);
  return first + Math.floor(share * (calls - first));
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
function inspect({ one, folder, old, expected, place }) {
  const states = new Map();
  const found = hashes(folder, one);
  for (const [name, hash] of found) {
    if (!one.isFinal(name)) continue;
    const state = hash === expected.files.get(name) ? "new" : hash === old.get(name) ? "old" : "partial";
    if (state === "partial") throw new Error(`${place}: ${name} is neither old nor whole`);
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
function compare({ one, folder, expected, place }) {
  const found = hashes(folder, one);
  for (const name of new Set([...found.keys(), ...expected.files.keys()])) {
    if (found.get(name) === expected.files.get(name)) continue;
    const what = found.has(name)
      ? expected.files.has(name)
        ? "is another file"
        : "is left over"
      : "is missing";
    throw new Error(`${place}: ${name} ${what}`);
  }
}

/** Checks that nothing that is named after the folder lies beside it. */
function checkBeside(folder, place) {
  const left = readdirSync(dirname(folder)).filter((name) => name.startsWith(`${basename(folder)}.`));
  if (left.length > 0) throw new Error(`${place}: ${left.join(", ")} is left over`);
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
