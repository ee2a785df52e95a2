// What the programs of this folder have in common: their options, and what they print.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { killRuns } from "./killing.mjs";

/**
 * Reads the command line, runs the cases that are asked for, and prints what came of them.
 *
 * @param {object} params
 * @param {string} params.program
 * @param {object} params.options Further ones, as `parseArgs` takes them.
 * @param {string} params.unit What runs went on with.
 * @param {Function} params.makeCases Gets the checkpoint, the options, and a folder for whatever a case needs; gives cases, and `stop`,
 *   called at the end, if there is something to stop.
 */
export async function runCases({ program, options: more, unit, makeCases }) {
  const { values: options, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      kills: { type: "string", default: "200" },
      seed: { type: "string", default: "1,2,3,4" },
      case: { type: "string" },
      scratch: { type: "string" },
      ...more,
    },
  });
  const [checkpoint] = positionals;
  if (checkpoint === undefined) throw new Error(`name a checkpoint: ${program} <folder>`);
  const seeds = options.seed.split(",").map(Number);
  const scratch = mkdtempSync(join(options.scratch ?? tmpdir(), "kill-"));
  let stop;
  try {
    const made = await makeCases({ checkpoint, options, scratch });
    stop = made.stop;
    const cases = made.cases.filter(
      ({ name }) => options.case === undefined || options.case.split(",").includes(name),
    );
    if (cases.length === 0) {
      throw new Error(`there is no such case: ${made.cases.map(({ name }) => name).join(", ")}`);
    }
    console.log(`${cases.map(({ name }) => name).join(", ")}; seeds ${seeds.join(", ")}`);
    printKills(await killRuns({ cases, kills: Number(options.kills), seeds, scratch }), unit);
  } finally {
    stop?.();
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Prints what `killRuns` gives. */
function printKills(rows, unit) {
  const line = (...cells) =>
    console.log(
      cells.map((cell, index) => (index < 3 ? String(cell).padEnd(22) : String(cell).padStart(9))).join(""),
    );
  line("case", "killed at", "left", "kills", "mean s", ` mean ${unit}`);
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
  const byCase = new Map();
  for (const { case: name, kills } of rows) byCase.set(name, (byCase.get(name) ?? 0) + kills);
  for (const [name, kills] of byCase) console.log(`${name}: ${kills} kills`);
  console.log(
    `${rows.reduce((sum, { kills }) => sum + kills, 0)} kills; every run ended in the bytes of an undisturbed one, and no final name ever had anything else.`,
  );
}
