// Whether huggingface_hub and Quern find each other's files in the cache of the Hub.
//   node tools/interoperability/hub-cache.mjs --python <interpreter with huggingface_hub>
// Needs the packages built. The Hub is that of the tests.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { startHub } from "../bench/src/start-hub.mjs";

const { values: options } = parseArgs({ options: { python: { type: "string", default: "python3" } } });
const root = fileURLToPath(new URL("../../", import.meta.url));
const quern = join(root, "apps/converter/bin/quern.js");
const script = join(root, "tools/interoperability/hub_cache.py");
const folder = join(root, "fixtures/golden/llama31-bpe/checkpoint");
const id = `org/${basename(folder)}`;
const scratch = mkdtempSync(join(tmpdir(), "quern-hub-cache-"));
const server = await startHub({ id, folder, scratch });

function run(command, args, cache, more = {}) {
  const env = { ...process.env, HF_ENDPOINT: server.endpoint, HF_HUB_CACHE: cache, HF_TOKEN: "", ...more };
  return execFileSync(command, args, { env, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] }).trim();
}

const convert = (output, cache, ...more) =>
  run(
    process.execPath,
    [quern, "convert", `hf:${id}`, "-t", "Q8_0", "-o", join(scratch, output), "-q", ...more],
    cache,
  );

try {
  const { sha: commit } = await (await fetch(`${server.endpoint}/api/models/${id}/revision/main`)).json();
  const [ours, theirs, half] = ["ours", "theirs", "half"].map((name) => join(scratch, name));

  convert("a.gguf", ours, "--cache");
  console.log(`kept by quern, found by ${run(options.python, [script, "find", id, commit], ours)}`);

  run(options.python, [script, "download", id, commit], theirs);
  convert("b.gguf", theirs, "--offline");
  console.log("kept by huggingface_hub, converted by quern offline");

  // A cache that has lost its weights: huggingface_hub takes the rest of ours, and brings them.
  convert("c.gguf", half, "--cache");
  const blobs = join(half, `models--${id.replace("/", "--")}`, "blobs");
  for (const name of readdirSync(blobs)) if (name.length === 64) rmSync(join(blobs, name));
  run(options.python, [script, "download", id, commit], half);
  console.log(`kept by both, found by ${run(options.python, [script, "find", id, commit], half)}`);

  const [a, b, c] = ["a", "b", "c"].map((name) => readFileSync(join(scratch, `${name}.gguf`)));
  if (!a.equals(b) || !a.equals(c)) throw new Error("The files that were converted differ.");
} finally {
  server.stop();
  rmSync(scratch, { recursive: true });
}
