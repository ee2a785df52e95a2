// Writes a small model in every quantized format, from random codes and scales, with what its weights dequantize to:
//
//     node tools/interoperability/write-checkpoints.mjs FOLDER
//
// FOLDER/CASE is a checkpoint, FOLDER/CASE.expected.safetensors its weights in float32.

import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { dequantize, formatOf, packLayer, planQuantizedCheckpoint, unpackLayer } from "@quern/checkpoints";
import { openCheckpointDirectory } from "@quern/checkpoints/node";
import { decodeElements, encodeElements } from "@quern/tensor";
import { bytesSource, readSafetensors, serializeSafetensors } from "safetensors-js";
import { CASES } from "./cases.mjs";

const MODEL = fileURLToPath(new URL("../../fixtures/golden/llama2-spm/checkpoint", import.meta.url));
const LINEAR = /\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)\.weight$/;
const CONSTANTS = { globalScale: 64, inputScale: 0.0625 };

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error("usage: write-checkpoints.mjs FOLDER");

let state = 1;
/** A number from 0 to 1 (xorshift). */
function random() {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) / 2 ** 32;
}

function rounded(type, values) {
  return decodeElements({ type, bytes: encodeElements({ type, values }) });
}

/** Codes and scales such as a small model may have. */
function randomMatrix(format, layer) {
  const { rows, columns, parameters } = layer;
  const { tile, scaleType, zeros, offsets, values } = format.form(layer);
  const tileColumns = Math.ceil(columns / tile.columns);
  const tiles = Math.ceil(rows / tile.rows) * tileColumns;
  const limit = 2 ** parameters.bits;
  const typical = Float32Array.from(
    { length: tiles },
    () => (0.02 + 0.08 * random()) / (values === undefined ? limit : 6),
  );
  const scales =
    {
      "bnb-int8": () => typical.map((scale) => Math.fround(scale * 127) / 127),
      "nvfp4-pack-quantized": () =>
        rounded(
          "F8_E4M3",
          typical.map((scale) => scale * CONSTANTS.globalScale),
        ).map((scale) => scale / CONSTANTS.globalScale),
    }[format.name]?.() ?? rounded(scaleType, typical);
  const nan = new Set(
    values === undefined ? [] : [...values.keys()].filter((code) => Number.isNaN(values[code])),
  );
  return {
    rows,
    columns,
    bits: parameters.bits,
    codes: Uint8Array.from({ length: rows * columns }, () => {
      const code = Math.floor(random() * limit);
      return nan.has(code) ? 0 : code;
    }),
    tile,
    scales,
    ...(zeros === undefined
      ? {}
      : {
          zeros: Uint8Array.from({ length: tiles }, () =>
            Math.floor(zeros.smallest + random() * (zeros.largest - zeros.smallest + 1)),
          ),
        }),
    ...(offsets === undefined
      ? {}
      : {
          offsets: rounded(
            offsets,
            typical.map((scale) => -8 * scale),
          ),
        }),
    ...(values === undefined ? {} : { values }),
    ...(parameters.actOrder
      ? { groupIndex: Int32Array.from({ length: columns }, (_, column) => (column * 7) % tileColumns) }
      : {}),
  };
}

const checkpoint = await openCheckpointDirectory(MODEL);
const config = JSON.parse(readFileSync(join(MODEL, "config.json"), "utf8"));
const weights = await readSafetensors(
  bytesSource({ bytes: readFileSync(join(MODEL, "model.safetensors")), name: "model.safetensors" }),
);
const layers = [...checkpoint.tensors.keys()].filter((name) => LINEAR.test(name));
const linears = [...layers.map((name) => name.replace(/\.weight$/, "")), "lm_head"];

for (const [name, [format, parameters]] of Object.entries(CASES)) {
  const target = join(folder, name);
  mkdirSync(target, { recursive: true });
  const plan = planQuantizedCheckpoint({
    config: { ...config, torch_dtype: "bfloat16" },
    tensors: [...checkpoint.tensors.values()].map(({ name: tensor, shape }) => ({
      name: tensor,
      type: "BF16",
      shape,
    })),
    layers: linears.slice(0, -1).map((module) => ({ module, format, parameters })),
    linears,
    paths: checkpoint.files.list(""),
    quantizer: "quern:0.0.0",
    maxShardSize: 500_000,
  });
  for (const path of plan.copies) copyFileSync(join(MODEL, path), join(target, path));
  for (const [path, bytes] of plan.files) writeFileSync(join(target, path), bytes);
  const packed = new Map();
  const expected = [];
  for (const tensor of layers) {
    const module = tensor.replace(/\.weight$/, "");
    const [rows, columns] = checkpoint.tensors.get(tensor).shape;
    const layer = { rows, columns, parameters };
    const matrix = randomMatrix(formatOf(format), layer);
    const bytes = packLayer({ format: formatOf(format), layer, matrix, constants: CONSTANTS, module });
    packed.set(module, bytes);
    const values = dequantize(unpackLayer({ format: formatOf(format), layer, bytes, module }));
    const data = encodeElements({ type: "F32", values });
    expected.push({ name: tensor, type: "F32", shape: [rows, columns], bytes: data });
  }
  for (const { fileName, layout } of plan.shards.shards) {
    const file = new Uint8Array(layout.fileSize);
    file.set(layout.header);
    for (const { info, offset } of layout.tensors.values()) {
      const origin = plan.origins.get(info.name);
      file.set(
        "copy" in origin ? await copied(origin.copy) : packed.get(origin.module).get(origin.suffix),
        offset,
      );
    }
    writeFileSync(join(target, fileName), file);
  }
  writeFileSync(`${target}.expected.safetensors`, serializeSafetensors({ tensors: expected }));
  console.log(name);
}

/** A tensor of the model in BF16. */
async function copied(tensor) {
  const source = weights.tensors.get(tensor);
  const rows = source.info.shape.slice(0, -1).reduce((product, size) => product * size, 1);
  const bytes = await source.readRows(0, rows);
  return encodeElements({ type: "BF16", values: decodeElements({ type: source.info.type, bytes }) });
}
