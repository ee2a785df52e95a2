// Kills `quern publish` at random moments with SIGKILL, lets it go on, and compares what the repository and the folder come to with a
// publication that nobody disturbed.
//   node tools/faults/src/kill-publish.mjs <checkpoint> [--kills 200] [--seed 1] [--types Q4_K_M,Q8_0] [--scratch <folder>]
// Cases: files that stay; files that are removed once they are published.
import { deepStrictEqual } from "node:assert";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { killRuns, printKills } from "./killing.mjs";
import { startPublishingHub } from "./publishing-hub.mjs";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    kills: { type: "string", default: "200" },
    seed: { type: "string", default: "1" },
    types: { type: "string", default: "Q4_K_M,Q8_0" },
    scratch: { type: "string" },
  },
});
const [checkpoint] = positionals;
if (checkpoint === undefined) throw new Error("name a checkpoint: kill-publish.mjs <folder>");

const ID = "mill/model-GGUF";
const TOKEN = "hf_publisher";
const CARD = "README.md";

const scratch = mkdtempSync(join(options.scratch ?? tmpdir(), "kill-publish-"));
const hub = await startPublishingHub({ id: ID, scratch, token: TOKEN, partSize: 1_000_000 });
try {
  const isFinal = (name) => /\.(gguf|manifest\.json)$/.test(name);
  const shared = {
    isFinal,
    isRecord: (name) => name.endsWith(".publication.jsonl"),
    // Of a run that went on: types that were there.
    kept: (events) => {
      const start = events.find(({ type }) => type === "publish:start");
      return start && (start.published.length + start.made.length || undefined);
    },
    env: {
      PATH: process.env.PATH,
      HF_ENDPOINT: hub.endpoint,
      HF_TOKEN: TOKEN,
      HF_HOME: join(scratch, "home"),
    },
  };
  const argv = (folder, ...more) => [
    "publish",
    checkpoint,
    "-t",
    options.types,
    "--repo",
    ID,
    "-o",
    folder,
    "--json",
    ...more,
  ];
  const rows = await killRuns({
    kills: Number(options.kills),
    seed: Number(options.seed),
    scratch,
    cases: [
      { ...shared, name: "files stay", argv, remote: repository(hub) },
      {
        ...shared,
        name: "files are removed",
        argv: (folder) => argv(folder, "--delete-local"),
        remote: repository(hub),
        // Whole files come and go.
        isFinal: () => false,
      },
    ],
  });
  printKills(rows, "types kept");
} finally {
  hub.stop();
  rmSync(scratch, { recursive: true, force: true });
}

/** What the repository must be like, as `killRuns` takes it. */
function repository(hub) {
  /** Of the undisturbed publication. */
  let expected;
  const hashesOf = ({ commits }) => new Map(commits.flatMap(({ files }) => files));
  return {
    get requests() {
      return expected.requests;
    },
    set onRequest(listener) {
      hub.onRequest = listener;
    },
    reset: () => hub.ask("reset"),
    async undisturbed() {
      expected = await hub.ask("state");
    },
    /** Every commit has whole files, and a card that says of each type what is there. */
    async check() {
      const { commits } = await hub.ask("state");
      const files = hashesOf(expected);
      for (const commit of commits) {
        for (const [path, hash] of commit.files) {
          if (path === CARD || files.get(path) === hash) continue;
          throw new Error(`the commit "${commit.title}" holds another ${path}`);
        }
      }
    },
    /** The same commits of the same files and cards, and no large file sent that was there. */
    async ended() {
      const { commits, again } = await hub.ask("state");
      deepStrictEqual(commits, expected.commits);
      deepStrictEqual(again, []);
    },
  };
}
