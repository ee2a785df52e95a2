// Kills `quern calibrate` at random moments with SIGKILL, lets it go on, and compares byte by byte with a run that nobody disturbs.
//   node tools/faults/src/kill-calibrate.mjs <checkpoint> [--kills 200] [--seed 1,2,3,4] [--case <names>] [--tokens 2048] [--scratch <folder>]
import { join } from "node:path";
import { runCases } from "./run-cases.mjs";

const OUTPUT = "s.safetensors";

await runCases({
  program: "kill-calibrate.mjs",
  options: { tokens: { type: "string", default: "2048" } },
  unit: "blocks kept",
  makeCases: ({ checkpoint, options }) => {
    const shared = {
      isFinal: (name) => name === OUTPUT,
      kept: (events) => events.find(({ type }) => type === "start")?.resumed || undefined,
    };
    const argv =
      (...more) =>
      (folder) => {
        const output = join(folder, OUTPUT);
        return ["calibrate", checkpoint, "--tokens", options.tokens, "-o", output, "--json", ...more];
      };
    return {
      cases: [
        { ...shared, name: "statistics", argv: argv() },
        { ...shared, name: "with windows", argv: argv("--hold-out", "2", "--keep-windows", "1") },
      ],
    };
  },
});
