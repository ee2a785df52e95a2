// `quern eval` against perplexities that are known from elsewhere:
//   node tools/checks/src/known-perplexity.mjs [--context 256] <model> <text>=<perplexity> ...
// Needs the packages built. The known ones are those of consecutive windows of the text, without special tokens, in which every token
// but the first is predicted; what is left at the end of the text does not count.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { quern } from "./programs.mjs";

const TOLERANCE = 0.005;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { context: { type: "string", default: "256" } },
});
const [model, ...known] = positionals;
if (known.length === 0) throw new Error("name a model, and texts with their perplexities");
const folder = await mkdtemp(join(tmpdir(), "quern-perplexity-"));
try {
  const output = join(folder, "report.json");
  for (const pair of known) {
    const at = pair.lastIndexOf("=");
    const text = pair.slice(0, at);
    const expected = Number(pair.slice(at + 1));
    await quern(
      "eval",
      resolve(model),
      "--data",
      resolve(text),
      "-c",
      options.context,
      "--score",
      "all",
      "--report",
      output,
      "-f",
    );
    const { windows, positions, perplexity } = JSON.parse(await readFile(output, "utf8")).evaluation.total;
    const apart = perplexity.value / expected - 1;
    console.log(
      `${basename(text).padEnd(24)}${perplexity.value.toFixed(4)}  known: ${expected}  ${(100 * apart).toFixed(4)} %  ` +
        `${windows} windows, ${positions} positions`,
    );
    if (!(Math.abs(apart) <= TOLERANCE)) process.exitCode = 1;
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
