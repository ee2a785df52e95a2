// Kills `quern publish` at random moments with SIGKILL, lets it go on, and compares what the repository and the folder come to with a
// publication that nobody disturbed.
//   node tools/faults/src/kill-publish.mjs <checkpoint> [--kills 200] [--seed 1,2,3,4] [--case <names>] [--types Q4_K_M,Q8_0] [--scratch <folder>]
import { deepStrictEqual } from "node:assert";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startPublishingHub } from "./publishing-hub.mjs";
import { runCases } from "./run-cases.mjs";

const ID = "mill/model-GGUF";
const TOKEN = "hf_publisher";
const CARD = "README.md";
const texts = fileURLToPath(new URL("../../../fixtures/evaluation/text.txt", import.meta.url));

await runCases({
  program: "kill-publish.mjs",
  options: { types: { type: "string", default: "Q4_K_M,Q8_0" } },
  unit: "items kept",
  async makeCases({ checkpoint, options, scratch }) {
    const hub = await startPublishingHub({ id: ID, scratch, token: TOKEN, partSize: 400_000 });
    const shared = {
      isRecord: (name) => name.endsWith(".publication.jsonl"),
      // Of a run that went on: items that were there.
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
    const publication = (name, types, ...more) => ({
      ...shared,
      name,
      isFinal: (file) => /\.(gguf|manifest\.json)$/.test(file),
      argv: (folder) => ["publish", checkpoint, ...types, "--repo", ID, "-o", folder, "--json", ...more],
      remote: repository(hub),
    });
    const usual = ["-t", options.types];
    return {
      stop: hub.stop,
      cases: [
        publication("files stay", usual),
        // Whole files come and go.
        { ...publication("files are removed", usual, "--delete-local"), isFinal: () => false },
        publication("pull request", usual, "--pr"),
        publication("five types", ["-t", "Q2_K,Q4_K_M,Q6_K,Q8_0,BF16"], "--pr"),
        publication("evaluated", usual, "--eval", texts, "--context", "64", "--windows", "2"),
        publication("sequential", ["-t", "Q4_K_M", "--tokens", "512"], "--rounding", "gptq", "--sequential"),
        {
          ...publication("checkpoint", ["--to", "mlx"]),
          isFinal: (file) => /^[^/]+(?<!\.partial)\//.test(file),
        },
      ],
    };
  },
});

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
    /** The same commits of the same files and cards, as many pull requests, and no large file sent that was there. */
    async ended() {
      const { commits, pullRequests, again } = await hub.ask("state");
      deepStrictEqual(commits, expected.commits);
      deepStrictEqual(pullRequests, expected.pullRequests);
      deepStrictEqual(again, []);
    },
  };
}
