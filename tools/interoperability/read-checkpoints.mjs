// Reads checkpoints, compares the weights that they stand for with those expected, and packs the codes again into the same bytes:
//
//     node tools/interoperability/read-checkpoints.mjs FOLDER [CASE ...]

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { dequantize, describeQuantization, formatOf, packLayer, unpackLayer } from "@quern/checkpoints";
import { openCheckpointDirectory, ShardReader } from "@quern/checkpoints/node";
import { decodeElements } from "@quern/tensor";
import { bytesSource, readSafetensors } from "safetensors-js";

const ENDING = ".expected.safetensors";

const [folder, ...given] = process.argv.slice(2);
if (folder === undefined) throw new Error("usage: read-checkpoints.mjs FOLDER [CASE ...]");
const cases =
  given.length > 0
    ? given
    : readdirSync(folder).flatMap((name) => (name.endsWith(ENDING) ? [name.slice(0, -ENDING.length)] : []));

/** All rows of a tensor. */
function rowsOf({ shape }) {
  return shape.slice(0, -1).reduce((product, size) => product * size, 1);
}

for (const name of cases) {
  const checkpoint = await openCheckpointDirectory(join(folder, name));
  const config = JSON.parse(readFileSync(join(folder, name, "config.json"), "utf8"));
  const { layers } = await describeQuantization({ config, ...checkpoint });
  const file = `${name}${ENDING}`;
  const expected = await readSafetensors(
    bytesSource({ bytes: readFileSync(join(folder, file)), name: file }),
  );
  const shards = new ShardReader(checkpoint.shards);
  const reader = shards.reading({
    tensors: [...checkpoint.tensors.values()],
    buffer: (size) => new Uint8Array(size),
  });
  let worst = 0;
  let compared = 0;
  for (const { module, format, layer, parts, weight } of layers) {
    const bytes = new Map();
    for (const part of parts)
      bytes.set(part.suffix, await reader.readRows(part.name, 0, rowsOf(reader.info(part.name))));
    const matrix = unpackLayer({ format: formatOf(format), layer, bytes, module });
    const found = dequantize(matrix);
    if (format !== "mxfp4") {
      const packed = packLayer({ format: formatOf(format), layer, matrix, module });
      for (const [suffix, stored] of bytes) {
        if (Buffer.compare(stored, packed.get(suffix)) !== 0)
          throw new Error(`${name}: ${module}${suffix} is packed otherwise`);
      }
    }
    const tensor = expected.tensors.get(weight.name);
    const wanted = decodeElements({ type: tensor.info.type, bytes: await tensor.readRows(0, layer.rows) });
    for (const [index, value] of wanted.entries()) {
      worst = Math.max(worst, Math.abs(found[index] - value) / Math.max(Math.abs(value), 1e-9));
    }
    compared++;
  }
  await shards.close();
  const complete = compared === expected.tensors.size && compared > 0;
  const verdict = worst === 0 ? "equal" : `relative difference ${worst.toPrecision(3)}`;
  console.log(
    `${name}: ${complete ? `${compared} weights, ${verdict}` : `FAILED: ${compared} of ${expected.tensors.size} weights`}`,
  );
  if (!complete || worst > 1e-6) process.exitCode = 1;
}
