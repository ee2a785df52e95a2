import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { expect, it } from "vitest";
import { loadKernels } from "../index.ts";
import { rowSize } from "../testing/backends.ts";
import { gaussianWeights } from "../testing/weights.ts";
import { nativeLoader } from "./native-loader.ts";

const loaded = await nativeLoader.load().catch(() => undefined);

/** Quantizes its rows of a shared matrix with an addon instance of its own. */
const WORKER = `
  const { workerData: { addon, weights, blocks, rows, columns, type, importance } } = require("node:worker_threads");
  const kernels = require(addon);
  const names = kernels.describe().types.map(({ name }) => name);
  const [to, from] = [names.indexOf(type), names.indexOf("F32")];
  const bad = kernels.quantize(0, to, from, weights, blocks, rows, columns, importance);
  if (bad !== undefined) throw new Error(JSON.stringify(bad));
`;

// The threads that come first make the tables of IQ2_XS, which all of them share.
it.runIf(loaded).each(["Q4_K", "IQ2_XS"])("works in many threads at once, %s", async (type) => {
  const { quantize } = await loadKernels({ backend: "native" });
  const { weights, importance, rows, columns } = gaussianWeights(16, 2048, 40);
  const [size, workers] = [rowSize(type, columns), 8];
  const source = new Uint8Array(new SharedArrayBuffer(weights.byteLength));
  const target = new Uint8Array(new SharedArrayBuffer(rows * size));
  const expected = new Uint8Array(rows * size);
  source.set(new Uint8Array(weights.buffer));

  const share = rows / workers;
  await Promise.all(
    Array.from({ length: workers }, async (_, i) => {
      const workerData = {
        addon: fileURLToPath(new URL("../../dist/quern-kernels.node", import.meta.url)),
        weights: source.subarray(i * share * columns * 4, (i + 1) * share * columns * 4),
        blocks: target.subarray(i * share * size, (i + 1) * share * size),
        rows: share,
        columns,
        type,
        importance,
      };
      const [exitCode] = (await once(new Worker(WORKER, { eval: true, workerData }), "exit")) as [number];
      expect(exitCode).toBe(0);
    }),
  );
  quantize({ type, sourceType: "F32", source, target: expected, rows, columns, importance });
  expect(target.slice()).toEqual(expected);
});

it.runIf(loaded)("never reads or writes outside of arrays, even when called past the checks", () => {
  const backend = loaded!.open(loaded!.isas[0]!);
  const names = backend.types.map(({ name }) => name);
  const type = names.indexOf("Q8_0");
  const good = {
    type,
    sourceType: names.indexOf("F32"),
    source: new Uint8Array(128),
    target: new Uint8Array(34),
    rows: 1,
    columns: 32,
    importance: undefined,
  };
  expect(backend.quantize(good)).toBeUndefined();
  const wrong = [
    { type: backend.types.length },
    { type: -1 },
    { type: names.indexOf("F64") },
    { sourceType: 99 },
    { source: new Uint8Array(127) },
    { target: new Uint8Array(33) },
    { rows: 2 },
    { rows: 2 ** 40 },
    { rows: 2 ** 31 - 1, columns: 2 ** 31 - 32 },
    { columns: 31 },
    { columns: -32 },
    { importance: new Float32Array(31) },
    { source: "text" as unknown as Uint8Array },
    { target: new Float32Array(34) as unknown as Uint8Array },
  ];
  for (const change of wrong) {
    expect(() => backend.quantize({ ...good, ...change })).toThrow("arguments that do not fit together");
  }
  const blocks = { type, source: new Uint8Array(34), target: new Float32Array(31), rows: 1, columns: 32 };
  expect(() => backend.dequantize(blocks)).toThrow("arguments that do not fit together");
  const measured = {
    type,
    sourceType: type,
    source: blocks.source,
    rows: 1,
    columns: 32,
    importance: undefined,
  };
  expect(backend.measureError({ ...measured, quantized: blocks.source }).squaredErrors).toEqual(
    Float64Array.of(0),
  );
  for (const change of [{ quantized: new Uint8Array(33) }, { importance: new Float32Array(31) }]) {
    expect(() => backend.measureError({ ...measured, quantized: blocks.source, ...change })).toThrow(
      "arguments that do not fit together",
    );
  }
});
