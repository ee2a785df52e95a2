// Writes a sharded Llama checkpoint of random BF16 weights, for memory and speed measurements on models of real size:
//   node tools/bench/src/synthetic-checkpoint.mjs 1B <folder>
// Tokenizer, chat template and generation config are those of the embedded model. The vocabulary is padded to the size asked, or with
// `merges` made as large as that.
import {
  copyFileSync,
  mkdirSync,
  openSync,
  readFileSync,
  writeFileSync,
  writeSync,
  closeSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { planSafetensors } from "safetensors-js";

const SIZES = {
  // The dimensions of Llama 3.2 1B with untied embeddings of 32,000 tokens: 1.10 B weights.
  "1B": { hidden: 2048, layers: 16, feedForward: 8192, heads: 32, keyValueHeads: 8, vocabulary: 32_000 },
  // 4.22 B weights.
  "4B": { hidden: 3072, layers: 40, feedForward: 8192, heads: 24, keyValueHeads: 8, vocabulary: 32_000 },
  // Little but a vocabulary, as large as the largest there are: 0.27 B weights.
  "256k": {
    hidden: 512,
    layers: 2,
    feedForward: 1024,
    heads: 8,
    keyValueHeads: 2,
    vocabulary: 262_144,
    merges: true,
  },
};
const SHARD_BYTES = 2e9;
const TILE_ELEMENTS = 1 << 22;

const demo = fileURLToPath(new URL("../../../examples/quern-demo/", import.meta.url));

/**
 * @param layers How many blocks. Default: those of the size.
 * @returns the number of weights written
 */
export function writeSyntheticCheckpoint(size, folder, layers = SIZES[size]?.layers) {
  const dimensions = { ...SIZES[size], layers };
  if (!SIZES[size]) throw new Error(`size is one of ${Object.keys(SIZES).join(", ")}`);
  mkdirSync(folder, { recursive: true });
  writeConfiguration(dimensions, folder);
  if (dimensions.merges) enlargeTokenizer(dimensions.vocabulary, join(folder, "tokenizer.json"));
  const shards = splitIntoShards(tensorShapes(dimensions));
  const tile = gaussianTile();
  const weightMap = {};
  let totalSize = 0;
  shards.forEach((tensors, index) => {
    const file = `model-${pad(index + 1)}-of-${pad(shards.length)}.safetensors`;
    const layout = planSafetensors({ tensors, metadata: { format: "pt" } });
    const descriptor = openSync(join(folder, file), "w");
    writeSync(descriptor, layout.header);
    for (const [name, { offset, size }] of layout.tensors) {
      weightMap[name] = file;
      totalSize += size;
      for (let written = 0; written < size;) {
        written += writeSync(descriptor, tile, 0, Math.min(tile.length, size - written), offset + written);
      }
    }
    closeSync(descriptor);
  });
  writeFileSync(
    join(folder, "model.safetensors.index.json"),
    JSON.stringify({ metadata: { total_size: totalSize }, weight_map: weightMap }),
  );
  return totalSize / 2;
}

function tensorShapes({ hidden, layers, feedForward, heads, keyValueHeads, vocabulary }) {
  const keyValue = (hidden / heads) * keyValueHeads;
  const tensor = (name, ...shape) => ({ name, type: "BF16", shape });
  const layer = (index) => {
    const prefix = `model.layers.${index}.`;
    return [
      tensor(`${prefix}input_layernorm.weight`, hidden),
      tensor(`${prefix}self_attn.q_proj.weight`, hidden, hidden),
      tensor(`${prefix}self_attn.k_proj.weight`, keyValue, hidden),
      tensor(`${prefix}self_attn.v_proj.weight`, keyValue, hidden),
      tensor(`${prefix}self_attn.o_proj.weight`, hidden, hidden),
      tensor(`${prefix}post_attention_layernorm.weight`, hidden),
      tensor(`${prefix}mlp.gate_proj.weight`, feedForward, hidden),
      tensor(`${prefix}mlp.up_proj.weight`, feedForward, hidden),
      tensor(`${prefix}mlp.down_proj.weight`, hidden, feedForward),
    ];
  };
  return [
    tensor("model.embed_tokens.weight", vocabulary, hidden),
    ...Array.from({ length: layers }, (_, index) => layer(index)).flat(),
    tensor("model.norm.weight", hidden),
    tensor("lm_head.weight", vocabulary, hidden),
  ];
}

function splitIntoShards(tensors) {
  const shards = [[]];
  let bytes = 0;
  for (const tensor of tensors) {
    const size = 2 * tensor.shape.reduce((product, dimension) => product * dimension, 1);
    if (bytes + size > SHARD_BYTES && bytes > 0) {
      shards.push([]);
      bytes = 0;
    }
    shards.at(-1).push(tensor);
    bytes += size;
  }
  return shards;
}

/** BF16 values with standard deviation 0.02, like trained weights; one tile is repeated through every tensor. */
function gaussianTile() {
  const values = new Float32Array(TILE_ELEMENTS);
  let state = 0x9e3779b9;
  const uniform = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return ((state >>> 0) + 0.5) / 2 ** 32;
  };
  for (let index = 0; index < values.length; index += 2) {
    const radius = 0.02 * Math.sqrt(-2 * Math.log(uniform()));
    const angle = 2 * Math.PI * uniform();
    values[index] = radius * Math.cos(angle);
    values[index + 1] = radius * Math.sin(angle);
  }
  const bits = new Uint32Array(values.buffer);
  return new Uint8Array(Uint16Array.from(bits, (word) => word >>> 16).buffer);
}

function writeConfiguration({ hidden, layers, feedForward, heads, keyValueHeads, vocabulary }, folder) {
  for (const file of [
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "generation_config.json",
  ]) {
    copyFileSync(join(demo, file), join(folder, file));
  }
  const config = JSON.parse(readFileSync(join(demo, "config.json"), "utf8"));
  Object.assign(config, {
    hidden_size: hidden,
    num_hidden_layers: layers,
    intermediate_size: feedForward,
    num_attention_heads: heads,
    num_key_value_heads: keyValueHeads,
    head_dim: hidden / heads,
    vocab_size: vocabulary,
    tie_word_embeddings: false,
  });
  writeFileSync(join(folder, "config.json"), JSON.stringify(config, null, 2));
}

/** Adds tokens that are made of two tokens each, until there are as many as asked. */
function enlargeTokenizer(vocabulary, path) {
  const tokenizer = JSON.parse(readFileSync(path, "utf8"));
  const { vocab, merges } = tokenizer.model;
  const special = new Set(tokenizer.added_tokens.map(({ content }) => content));
  const words = Object.keys(vocab).filter((token) => !special.has(token));
  let size = Math.max(...Object.values(vocab)) + 1;
  for (let index = 0; size < vocabulary; index++) {
    const [left, right] = [words[index % words.length], words[Math.floor(index / words.length)]];
    if (left + right in vocab) continue;
    vocab[left + right] = size++;
    merges.push([left, right]);
  }
  writeFileSync(path, JSON.stringify(tokenizer));
}

function pad(number) {
  return String(number).padStart(5, "0");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [size, folder] = process.argv.slice(2);
  if (!size || !folder) throw new Error("usage: synthetic-checkpoint.mjs <1B|4B|256k> <folder>");
  const weights = writeSyntheticCheckpoint(size, folder);
  console.log(`${folder}: ${(weights / 1e9).toFixed(2)} B weights`);
}
