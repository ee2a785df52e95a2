import {
  dequantize,
  formatOf,
  type Layer,
  type LayerParameters,
  layerTensors,
  packLayer,
  planQuantizedCheckpoint,
  unpackLayer,
} from "@quern/checkpoints";
import { byteSize, encodeElements, type TensorInfo } from "@quern/tensor";
import { beforeAll, describe, expect, it } from "vitest";
import { describeModel } from "./describe-model.ts";
import { evaluateRows, expressionSources } from "./expressions/evaluate.ts";
import type { TensorReader } from "./expressions/expression.ts";
import { describeFoldings } from "./folding/describe-foldings.ts";
import { foldedScales } from "./folding/folded-scales.ts";
import type { Foldings } from "./folding/folding.ts";
import { tieFactors } from "./folding/tied-factors.ts";
import { foldTensor } from "./folding/weight-changes.ts";
import type { ModelDescription, ModelInput } from "./model.ts";
import { goldenCheckpoint } from "./testing/golden-checkpoint.ts";

const LINEAR = /^(model\.layers\.\d+\..*_proj)\.weight$/;

const group = (columns: number): LayerParameters["tile"] => ({ rows: 1, columns });

const CASES: readonly [format: string, parameters: LayerParameters][] = [
  ["gptq", { bits: 3, tile: group(64), symmetric: false, scaleType: "F16" }],
  ["gptq-v2", { bits: 4, tile: group(128), symmetric: true, scaleType: "F16", actOrder: true }],
  ["awq", { bits: 4, tile: group(64), symmetric: false, scaleType: "F16" }],
  ["bnb-nf4", { bits: 4, tile: group(64), symmetric: true, scaleType: "F32", doubleQuantized: true }],
  ["pack-quantized", { bits: 4, tile: group(32), symmetric: false, scaleType: "BF16" }],
  ["fp8", { bits: 8, tile: { rows: 128, columns: 128 }, symmetric: true, scaleType: "F32" }],
  ["mlx", { bits: 6, tile: group(64), symmetric: false, scaleType: "BF16" }],
];

/** Codes and scales that differ from place to place, all of them values that any format stores. */
function matrixFor(
  format: ReturnType<typeof formatOf>,
  layer: Layer,
): Parameters<typeof packLayer>[0]["matrix"] {
  const { rows, columns, parameters } = layer;
  const form = format.form(layer);
  const tileColumns = Math.ceil(columns / form.tile.columns);
  const tiles = Math.ceil(rows / form.tile.rows) * tileColumns;
  const { zeros, offsets, values } = form;
  return {
    rows,
    columns,
    bits: parameters.bits,
    codes: Uint8Array.from({ length: rows * columns }, (_, index) => {
      const code = (index * 31 + (index >> 7)) % 2 ** parameters.bits;
      return Number.isNaN(values?.[code] ?? 0) ? 0 : code;
    }),
    tile: form.tile,
    scales: Float32Array.from({ length: tiles }, (_, tile) => ((tile % 61) + 1) / 128),
    ...(zeros === undefined
      ? {}
      : {
          zeros: Uint8Array.from(
            { length: tiles },
            (_, tile) => zeros.smallest + (tile % (zeros.largest - zeros.smallest + 1)),
          ),
        }),
    ...(offsets === undefined
      ? {}
      : { offsets: Float32Array.from({ length: tiles }, (_, tile) => -(tile % 7)) }),
    ...(values === undefined ? {} : { values }),
    ...(parameters.actOrder
      ? { groupIndex: Int32Array.from({ length: columns }, (_, column) => (column * 5) % tileColumns) }
      : {}),
  };
}

interface Source {
  readonly input: ModelInput;
  readonly reader: TensorReader;
}

/** The golden checkpoint with other tensors in place of its linear layers. */
async function checkpointWith(params: {
  edits: Readonly<Record<string, unknown>>;
  replace: (weight: TensorInfo, module: string) => readonly (TensorInfo & { readonly bytes: Uint8Array })[];
}): Promise<Source> {
  const golden = await goldenCheckpoint("llama2-spm", params.edits);
  const tensors = new Map<string, TensorInfo>();
  const replaced = new Map<string, Uint8Array>();
  for (const [name, info] of golden.input.tensors) {
    const module = LINEAR.exec(name)?.[1];
    if (module === undefined) tensors.set(name, info);
    else {
      for (const { bytes, ...part } of params.replace(info, module)) {
        tensors.set(part.name, part);
        replaced.set(part.name, bytes);
      }
    }
  }
  return {
    input: { ...golden.input, tensors, readTensor: async (name) => replaced.get(name)! },
    reader: {
      info: (name) => tensors.get(name)!,
      async readRows(name, start, count) {
        const bytes = replaced.get(name);
        if (bytes === undefined) return golden.reader.readRows(name, start, count);
        const { type, shape } = tensors.get(name)!;
        const rowBytes = byteSize({ type, shape: shape.slice(-1) });
        return bytes.subarray(start * rowBytes, (start + count) * rowBytes);
      },
    },
  };
}

describe.each(CASES)("a checkpoint of %s %j", (name, parameters) => {
  const format = formatOf(name);
  let quantized: Source;
  let plain: Source;
  let models: { quantized: ModelDescription; plain: ModelDescription };

  beforeAll(async () => {
    const { input } = await goldenCheckpoint("llama2-spm");
    const linears = [...input.tensors.keys()].flatMap((key) => LINEAR.exec(key)?.[1] ?? []);
    const { files } = planQuantizedCheckpoint({
      config: {},
      tensors: input.tensors.values(),
      layers: linears.map((module) => ({ module, format: name, parameters })),
      linears,
      paths: [],
      quantizer: "test:1",
    });
    const edits = JSON.parse(new TextDecoder().decode(files.get("config.json"))) as Record<string, unknown>;
    const packed = ({ shape }: TensorInfo, module: string) => {
      const layer: Layer = { rows: shape[0]!, columns: shape[1]!, parameters };
      return { layer, bytes: packLayer({ format, layer, matrix: matrixFor(format, layer), module }), module };
    };
    quantized = await checkpointWith({
      edits,
      replace(weight, module) {
        const { layer, bytes } = packed(weight, module);
        return layerTensors(format, layer, module).map(({ suffix, ...info }) => ({
          ...info,
          bytes: bytes.get(suffix)!,
        }));
      },
    });
    plain = await checkpointWith({
      edits: {},
      replace(weight, module) {
        const { layer, bytes } = packed(weight, module);
        const values = dequantize(unpackLayer({ format, layer, bytes, module }));
        return [{ ...weight, type: "F32", bytes: encodeElements({ type: "F32", values }) }];
      },
    });
    models = { quantized: await describeModel(quantized.input), plain: await describeModel(plain.input) };
  });

  it("becomes the same tensors as one of the weights that it stands for", async () => {
    const expected = new Map(models.plain.tensors.map((tensor) => [tensor.name, tensor]));
    expect(models.quantized.tensors.map((tensor) => tensor.name).toSorted()).toEqual(
      [...expected.keys()].toSorted(),
    );
    for (const tensor of models.quantized.tensors) {
      const other = expected.get(tensor.name)!;
      expect(tensor).toMatchObject({
        shape: other.shape,
        storage: other.storage,
        sourceType: other.sourceType,
      });
      const rows = tensor.shape.slice(0, -1).reduce((product, size) => product * size, 1);
      for (let start = 0; start < rows; start += 97) {
        const range = { firstRow: start, rows: Math.min(97, rows - start) };
        const bytes = await evaluateRows(tensor.expression, { ...range, reader: quantized.reader });
        const wanted = await evaluateRows(other.expression, { ...range, reader: plain.reader });
        expect(Buffer.compare(bytes, wanted), `${tensor.name} from row ${start}`).toBe(0);
      }
    }
  });

  it("has factors folded into it as into the weights that it stands for", async () => {
    const foldingsOf = (description: ModelDescription, { input }: Source): Foldings =>
      describeFoldings({ description, tensors: input.tensors });
    const { foldings, omitted } = foldingsOf(models.quantized, quantized);
    expect(foldings.length).toBeGreaterThan(4);
    expect(omitted).toEqual([]);
    expect(foldings).toEqual(foldingsOf(models.plain, plain).foldings);
    expect(foldings).toEqual(foldingsOf(models.quantized, plain).foldings);
    const scales = foldedScales(
      foldings.map((folding) => ({
        folding,
        factors: tieFactors(
          folding,
          Float32Array.from({ length: folding.columns }, (_, column) => 1 + (column % 7) / 3),
        ),
      })),
    );
    const expected = new Map(models.plain.tensors.map((tensor) => [tensor.name, tensor]));
    for (const tensor of models.quantized.tensors.filter(({ name }) => name.startsWith("blk.0."))) {
      const range = { firstRow: 0, rows: Math.min(16, tensor.shape.at(-2) ?? 1) };
      const folded = [foldTensor(tensor, scales), foldTensor(expected.get(tensor.name)!, scales)] as const;
      const bytes = await evaluateRows(folded[0].expression, { ...range, reader: quantized.reader });
      const wanted = await evaluateRows(folded[1].expression, { ...range, reader: plain.reader });
      expect(folded[0].sourceType).toBe("F32");
      expect(Buffer.compare(bytes, wanted), tensor.name).toBe(0);
    }
  });

  it("reads only tensors that there are, and says which", () => {
    const names = new Set(quantized.input.tensors.keys());
    for (const { expression } of models.quantized.tensors) {
      expect(expressionSources(expression).filter((source) => !names.has(source))).toEqual([]);
    }
    const sources = models.quantized.modules.flatMap((module) => module.sources);
    expect(sources.filter((source) => !names.has(source))).toEqual([]);
  });

  it("has weights under new names after all others, as llama.cpp's converter has them", () => {
    const first = models.quantized.tensors.findIndex((tensor) => tensor.name === "blk.0.attn_q.weight");
    const norm = models.quantized.tensors.findIndex((tensor) => tensor.name === "output_norm.weight");
    expect(first > norm).toBe(
      !format.parts({ rows: 128, columns: 128, parameters }).some(({ suffix }) => suffix === ".weight"),
    );
  });
});

it("needs to read what some formats say in tensors", async () => {
  const { input } = await goldenCheckpoint("llama2-spm", {
    quantization_config: { quant_method: "bitsandbytes" },
  });
  const tensors = new Map(input.tensors);
  for (const suffix of ["absmax", "quant_state.bitsandbytes__nf4"]) {
    const name = `model.layers.0.self_attn.q_proj.weight.${suffix}`;
    tensors.set(name, { name, type: "U8", shape: [64] });
  }
  await expect(describeModel({ ...input, tensors })).rejects.toMatchObject({ code: "MODEL_UNSUPPORTED" });
});
