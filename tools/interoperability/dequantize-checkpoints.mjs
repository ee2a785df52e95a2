// Writes the weights that quantized checkpoints stand for beside them, as FOLDER.expected.safetensors in float32:
//
//     node tools/interoperability/dequantize-checkpoints.mjs FOLDER ...

import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { dequantize, describeQuantization, formatOf, unpackLayer } from "@quern/checkpoints";
import { openCheckpointDirectory } from "@quern/checkpoints/node";
import { encodeElements } from "@quern/tensor";
import { serializeSafetensors } from "safetensors-js";

for (const folder of process.argv.slice(2).map((path) => resolve(path))) {
  const { tensors, readTensor } = await openCheckpointDirectory(folder);
  const config = JSON.parse(readFileSync(join(folder, "config.json"), "utf8"));
  const quantized = await describeQuantization({ config, tensors, readTensor });
  if (quantized === undefined) throw new Error(`${folder} is not quantized`);
  const weights = [];
  for (const { module, format, layer, parts, weight } of quantized.layers) {
    const bytes = new Map();
    for (const { suffix, name } of parts) bytes.set(suffix, bytesOf(folder, tensors.get(name)));
    const values = dequantize(unpackLayer({ format: formatOf(format), layer, bytes, module }));
    weights.push({ ...weight, bytes: encodeElements({ type: "F32", values }) });
  }
  writeFileSync(`${folder}.expected.safetensors`, serializeSafetensors({ tensors: weights }));
  console.log(`${folder}: ${weights.length} weights`);
}

function bytesOf(folder, { shard, offset, size }) {
  return new Uint8Array(readFileSync(join(folder, shard)).subarray(offset, offset + size));
}
