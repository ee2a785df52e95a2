// Kills `quern calibrate` at random moments with SIGKILL, lets it go on, and compares byte by byte with a run that nobody disturbs.
//   node tools/faults/src/kill-calibrate.mjs <checkpoint> [--kills 50] [--seed 1] [--tokens 4096] [--scratch <folder>]
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { killRuns, printKills } from "./killing.mjs";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    kills: { type: "string", default: "50" },
    seed: { type: "string", default: "1" },
    tokens: { type: "string", default: "4096" },
    scratch: { type: "string" },
  },
});
const [checkpoint] = positionals;
if (checkpoint === undefined) throw new Error("name a checkpoint: kill-calibrate.mjs <folder>");

const scratch = mkdtempSync(join(options.scratch ?? tmpdir(), "kill-calibrate-"));
try {
  const rows = await killRuns({
    kills: Number(options.kills),
    seed: Number(options.seed),
    scratch,
    cases: [
      {
        name: "statistics",
        argv: (folder) => [
          "calibrate",
          checkpoint,
          "--tokens",
          options.tokens,
          "-o",
          join(folder, "s.safetensors"),
          "--json",
        ],
        isFinal: (name) => name === "s.safetensors",
        kept: (events) => events.find(({ type }) => type === "start")?.resumed || undefined,
      },
    ],
  });
  printKills(rows, "blocks kept");
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
