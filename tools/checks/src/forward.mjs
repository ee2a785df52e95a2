// Our forward pass against the real llama.cpp's, on F32 files of the golden checkpoints with the edits of fixtures/forward:
//   node tools/checks/src/forward.mjs [case ...]
// Needs the packages built. The difference is that of the logit furthest off at any position, in units of the root mean square of
// the logits there. The second figure has what llama.cpp rounds otherwise (src/llama-rounding.mjs) in our pass, too.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadKernels } from "@quern/kernels";
import { compareForward, convertCase, forwardCases } from "./compare-forward.mjs";

const cases = forwardCases();
const names = process.argv.length > 2 ? process.argv.slice(2) : [...cases.keys()];
const folder = await mkdtemp(join(tmpdir(), "quern-forward-"));
const kernels = await loadKernels();
const TOLERANCE = 1e-3;
let within = 0;
let explained = 0;
let refused = 0;
try {
  console.log("case                    difference  as llama.cpp rounds");
  for (const name of names) {
    const given = cases.get(name);
    if (given === undefined) throw new Error(`no case ${name}: there are ${[...cases.keys()].join(", ")}`);
    const path = await convertCase(given, { name, folder });
    const compared = await compareForward({
      path,
      tokens: given.tokens,
      architecture: given.checkpoint,
      kernels,
    }).catch(({ message }) => message.replace(`${folder}/`, ""));
    if (typeof compared === "string") {
      refused += 1;
      console.log(`${name.padEnd(24)}${compared}`);
      continue;
    }
    const { asIs, rounded, roundings } = compared;
    if (asIs < TOLERANCE) within += 1;
    if (rounded < TOLERANCE) explained += 1;
    const notes = roundings.length === 0 ? "" : `${rounded.toExponential(1)}  ${roundings.join(", ")}`;
    console.log(`${name.padEnd(24)}${asIs.toExponential(1).padEnd(12)}${notes}`);
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
console.log(
  `${names.length} cases: ${within} within ${TOLERANCE}, ${explained} as llama.cpp rounds; ${refused} not run by llama.cpp`,
);
if (explained + refused < names.length) process.exitCode = 1;
