import type { QuernError, TensorInfo } from "@quern/tensor";
import { describe, expect, it } from "vitest";
import type { LayerParameters } from "../formats/format.ts";
import { dequantize } from "../formats/dequantize.ts";
import { formatOf } from "../formats/registry.ts";
import { unpackLayer } from "../formats/layer.ts";
import { quantizedTensors, type QuantizedTensors } from "../testing/quantized-tensors.ts";
import { planQuantizedCheckpoint } from "../writing/plan-quantized-checkpoint.ts";
import { layerOf } from "../testing/random-layer.ts";
import { describeQuantization } from "./describe-quantization.ts";

const MODULES = { "model.layers.0.a": [64, 128], "model.layers.1.b": [32, 192] } as const;
const block = { rows: 128, columns: 128 };
const bytes = { bits: 8, tile: { rows: 1, columns: "all" } } as const;

const CASES: readonly [format: string, parameters: Partial<LayerParameters>][] = [
  ["gptq", { bits: 3, tile: { rows: 1, columns: 64 } }],
  ["gptq", { bits: 8, tile: { rows: 1, columns: "all" }, symmetric: false }],
  ["gptq-v2", { actOrder: true, symmetric: false }],
  ["awq", { tile: { rows: 1, columns: 64 }, symmetric: false }],
  ["bnb-nf4", { tile: { rows: 1, columns: 64 }, scaleType: "F32", doubleQuantized: true }],
  ["bnb-fp4", { tile: { rows: 1, columns: 128 }, scaleType: "F32", weightType: "F16" }],
  ["bnb-int8", { ...bytes, scaleType: "F32" }],
  ["pack-quantized", { bits: 3, scaleType: "BF16", symmetric: false }],
  ["pack-quantized", { bits: 4, tile: { rows: 1, columns: "all" }, scaleType: "BF16" }],
  ["pack-quantized", { actOrder: true, scaleType: "BF16" }],
  ["int-quantized", { ...bytes, scaleType: "BF16", activations: "static" }],
  ["float-quantized", { ...bytes, scaleType: "F32", activations: "dynamic" }],
  ["float-quantized", { bits: 8, tile: { rows: "all", columns: "all" }, scaleType: "F32" }],
  ["float-quantized", { bits: 8, tile: block, scaleType: "F32" }],
  ["nvfp4-pack-quantized", { tile: { rows: 1, columns: 16 }, scaleType: "F8_E4M3" }],
  ["mxfp4-pack-quantized", { scaleType: "F8_E8M0" }],
  ["fp8", { bits: 8, tile: block, scaleType: "F32" }],
  ["mlx", { bits: 5, tile: { rows: 1, columns: 64 }, symmetric: false, scaleType: "BF16" }],
];

/** config.json as it is written for the layers. */
function configOf(format: string, parameters: Partial<LayerParameters>): Record<string, unknown> {
  const modules = Object.entries(MODULES);
  const { files } = planQuantizedCheckpoint({
    config: {},
    tensors: modules.map(([module, shape]) => ({ name: `${module}.weight`, type: "BF16", shape })),
    layers: modules.map(([module, [rows, columns]]) => ({
      module,
      format,
      parameters: layerOf(rows, columns, parameters).parameters,
    })),
    linears: Object.keys(MODULES),
    paths: [],
    quantizer: "test:1",
  });
  return JSON.parse(new TextDecoder().decode(files.get("config.json"))) as Record<string, unknown>;
}

/** How a runtime quantizes what a layer reads. */
function inputsOf(format: string, { activations }: Partial<LayerParameters>, module: string): unknown {
  if (format === "fp8") return { type: "F8_E4M3", groupSize: 128 };
  if (activations === undefined) return undefined;
  const type = format === "int-quantized" ? "I8" : "F8_E4M3";
  return activations === "static" ? { type, scale: `${module}.input_scale` } : { type };
}

/** Suffixes of the tensors by which layers that are not packed in words are found. */
const MARKERS = [".weight.absmax", ".SCB", ".weight_scale_inv", ".weight_scale", ".scales"];

async function describeTensors(
  config: Record<string, unknown>,
  { tensors, bytes: data }: Pick<QuantizedTensors, "tensors" | "bytes">,
): ReturnType<typeof describeQuantization> {
  return describeQuantization({
    config,
    tensors,
    readTensor: async (name) => data.get(name)!,
  });
}

describe.each(CASES)("%s %j", (format, parameters) => {
  const quantized = quantizedTensors({ format, parameters, modules: MODULES });
  const config = configOf(format, parameters);
  const norm: TensorInfo = { name: "model.norm.weight", type: "BF16", shape: [128] };

  it("is found and dequantizes to the weights", async () => {
    const tensors = new Map([...quantized.tensors, [norm.name, norm]]);
    const found = await describeTensors(config, { ...quantized, tensors });
    expect(found!.layers.map(({ module, weight }) => [module, weight.type, weight.shape])).toEqual(
      Object.entries(MODULES).map(([module, shape]) => [module, "F32", [...shape]]),
    );
    expect([...found!.consumed].toSorted()).toEqual([...quantized.tensors.keys()].toSorted());
    expect(found!.layers.map(({ inputs }) => inputs)).toEqual(
      Object.keys(MODULES).map((module) => inputsOf(format, parameters, module)),
    );
    for (const { module, format: name, layer, parts, weight } of found!.layers) {
      const own = new Map(parts.map((part) => [part.suffix, quantized.bytes.get(part.name)!]));
      const matrix = unpackLayer({ format: formatOf(name), layer, bytes: own, module });
      expect(dequantize(matrix)).toEqual(quantized.weights.get(weight.name));
    }
  });

  it("names a tensor that is missing or of another shape or type", async () => {
    const [layer] = (await describeTensors(config, quantized))!.layers;
    // Where nothing is packed the scale tells (int-quantized, float-quantized).
    const packed = quantized.tensors.has(`${layer!.module}.weight_packed`);
    const gptq = quantized.tensors.has(`${layer!.module}.qweight`);
    const markers = gptq ? [".qweight"] : packed ? [] : MARKERS;
    for (const { name, suffix } of layer!.parts) {
      const info = quantized.tensors.get(name)!;
      // One scale fits any number of weights.
      const any = suffix === ".weight" && layer!.layer.parameters.tile.rows === "all";
      const changes: readonly (TensorInfo | undefined)[] = [
        ...(any ? [] : [{ ...info, shape: info.shape.with(0, info.shape[0]! + 200) }]),
        { ...info, shape: [1, 1, 1, ...info.shape] },
        { ...info, type: "I16" },
        undefined,
      ];
      for (const change of changes) {
        const tensors = new Map(quantized.tensors);
        if (change === undefined) tensors.delete(name);
        else tensors.set(name, change);
        const outcome = await describeTensors(config, { ...quantized, tensors }).then(
          (found) => `${found!.layers.length} layers`,
          (error: unknown) => `${(error as QuernError).code} ${(error as QuernError).message}`,
        );
        // Without the tensor that marks it a module is taken for unquantized, and whoever knows the model misses its weight.
        const marker = change === undefined && markers.includes(suffix);
        const expected = marker ? "1 layers" : `CHECKPOINT_QUANTIZATION_INVALID "${layer!.module}`;
        expect(outcome.slice(0, expected.length), name).toBe(expected);
      }
    }
  });
});

it("finds stacked experts of gpt-oss", async () => {
  const tensors = new Map<string, TensorInfo>(
    [
      { name: "e.gate_up_proj_blocks", type: "U8", shape: [2, 6, 3, 16] } as const,
      { name: "e.gate_up_proj_scales", type: "U8", shape: [2, 6, 3] } as const,
    ].map((info) => [info.name, info]),
  );
  const config = { quantization_config: { quant_method: "mxfp4" } };
  const [layer] = (await describeTensors(config, { tensors, bytes: new Map() }))!.layers;
  expect(layer!.weight).toEqual({ name: "e.gate_up_proj", type: "F32", shape: [2, 6, 96] });
  const blocks = new Uint8Array(2 * 6 * 3 * 16).fill(0x72);
  const scales = new Uint8Array(2 * 6 * 3).fill(128);
  const unpack = (all: Uint8Array): Float32Array =>
    dequantize(
      unpackLayer({
        format: formatOf("mxfp4"),
        layer: layer!.layer,
        bytes: new Map([
          ["_blocks", blocks],
          ["_scales", all],
        ]),
        module: "e",
      }),
    );
  // Code 2 is 1 and code 7 is 6, the low nibble first; the scale is 2.
  expect([...unpack(scales).subarray(0, 4)]).toEqual([2, 12, 2, 12]);
  expect(() => unpack(scales.fill(255))).toThrow(expect.objectContaining({ code: "FORMAT_PARTS_INVALID" }));
});

it("takes the settings of a module before those of the model (MLX, GPTQ)", async () => {
  const parameters = {
    bits: 8,
    tile: { rows: 1, columns: 32 },
    symmetric: false,
    scaleType: "BF16",
  } as const;
  const mlx = quantizedTensors({ format: "mlx", parameters, modules: MODULES });
  const quantization = {
    bits: 4,
    group_size: 64,
    ...Object.fromEntries(Object.keys(MODULES).map((module) => [module, { bits: 8, group_size: 32 }])),
  };
  expect((await describeTensors({ quantization }, mlx))!.layers).toHaveLength(2);
  const gptq = quantizedTensors({
    format: "gptq",
    parameters: { ...parameters, scaleType: "F16" },
    modules: MODULES,
  });
  const settings = {
    quant_method: "gptq",
    bits: 4,
    group_size: 64,
    dynamic: { "+:.*": { bits: 8, group_size: 32 } },
  };
  expect((await describeTensors({ quantization_config: settings }, gptq))!.layers).toHaveLength(2);
});

it.each([
  [{ quant_method: "aqlm" }, "quant_method"],
  [{ quant_method: "gptq", checkpoint_format: "marlin" }, "checkpoint_format"],
  [{ quant_method: "awq", version: "gemv" }, "version"],
  [{ bits: 4, group_size: 32, mode: "mxfp4" }, "mode"],
])("does not know %j", async (settings, key) => {
  const quantized = quantizedTensors({ format: "gptq", parameters: {}, modules: { m: [32, 32] } });
  const tensors = new Map<string, TensorInfo>([
    ...quantized.tensors,
    ["m.weight", { name: "m.weight", type: "U32", shape: [32, 4] }],
  ]);
  await expect(
    describeTensors({ quantization_config: settings }, { ...quantized, tensors }),
  ).rejects.toMatchObject({
    code: "CHECKPOINT_QUANTIZATION_UNKNOWN",
    subject: { key },
  });
});

it("finds nothing where config.json speaks of nothing", async () => {
  expect(await describeTensors({ hidden_size: 4 }, { tensors: new Map(), bytes: new Map() })).toBeUndefined();
});
