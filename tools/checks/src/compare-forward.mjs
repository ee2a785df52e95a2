// Our logits beside llama.cpp's, for the cases of fixtures/forward.
import { readdirSync, readFileSync } from "node:fs";
import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { llamaLogits } from "./llama-model.mjs";
import { LLAMA_ROUNDINGS } from "./llama-rounding.mjs";
import { quern, REPOSITORY } from "./programs.mjs";
import { quernLogits } from "./quern-model.mjs";

const FORWARD = join(REPOSITORY, "fixtures", "forward");
const GOLDEN = join(REPOSITORY, "fixtures", "golden");

/** Cases of language models with a whole checkpoint, by name. */
export function forwardCases() {
  const cases = new Map();
  for (const file of readdirSync(FORWARD).filter((file) => file.endsWith(".json"))) {
    const given = JSON.parse(readFileSync(join(FORWARD, file), "utf8"));
    if (given.set === "golden" && given.output === "logits") cases.set(file.slice(0, -".json".length), given);
  }
  return cases;
}

/** Converts the checkpoint of a case, with its edited configuration, to F32 in a folder; returns the path of the file. */
export async function convertCase({ checkpoint, edits }, { name, folder }) {
  const edited = join(folder, name);
  await mkdir(edited, { recursive: true });
  await cp(join(GOLDEN, checkpoint, "checkpoint"), edited, { recursive: true });
  const config = join(edited, "config.json");
  await writeFile(config, JSON.stringify({ ...JSON.parse(await readFile(config, "utf8")), ...edits }));
  const path = join(folder, `${name}.gguf`);
  await quern("convert", edited, "-t", "F32", "-o", path, "-j", "0");
  return path;
}

/**
 * How far our logits of a file are from llama.cpp's: `asIs`, and `rounded` with all that llama.cpp rounds on the way; `roundings`
 * are those that matter.
 */
export async function compareForward({ path, tokens, architecture, kernels }) {
  const expected = await llamaLogits({ path, tokens });
  const difference = async (roundings) => {
    const options = { kernels, editBlock: (graph) => graph };
    for (const { kernels: change, editBlock } of roundings) {
      if (change !== undefined) options.kernels = change(options.kernels);
      if (editBlock !== undefined) options.editBlock = editBlock;
    }
    const actual = await quernLogits({ path, tokens, ...options });
    return largestDifference({ actual, expected, rows: tokens.length });
  };
  const applicable = LLAMA_ROUNDINGS.filter(
    ({ architectures }) => architectures === undefined || architectures.includes(architecture),
  );
  const asIs = await difference([]);
  const matters = [];
  for (const rounding of applicable) if ((await difference([rounding])) !== asIs) matters.push(rounding);
  const rounded = matters.length === 0 ? asIs : await difference(matters);
  return { asIs, rounded, roundings: matters.map(({ name }) => name) };
}

/** Over all positions, the largest difference of a logit in units of the root mean square of those of its position. */
function largestDifference({ actual, expected, rows }) {
  if (actual.length !== expected.length) {
    throw new Error(`${actual.length} logits: llama.cpp has ${expected.length}`);
  }
  const columns = actual.length / rows;
  let largest = 0;
  for (let row = 0; row < rows; row++) {
    let squares = 0;
    let apart = 0;
    for (let index = row * columns; index < (row + 1) * columns; index++) {
      squares += expected[index] ** 2;
      apart = Math.max(apart, Math.abs(actual[index] - expected[index]));
    }
    largest = Math.max(largest, apart / Math.sqrt(squares / columns));
  }
  return largest;
}
