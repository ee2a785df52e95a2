import { describe, expect, it } from "vitest";
import type { LayerParameters } from "../formats/format.ts";
import { FORMATS } from "../formats/registry.ts";
import { compatibility, LOADERS, modelCompatibility } from "./compatibility.ts";
import { type Loader, LOADER_RULES } from "./loader-rules.ts";

const W4: LayerParameters = {
  bits: 4,
  tile: { rows: 1, columns: 128 },
  symmetric: true,
  scaleType: "F16",
};

it("knows only formats that there are", () => {
  const known = new Set(FORMATS.map(({ name }) => name));
  for (const rules of Object.values(LOADER_RULES)) {
    expect(Object.keys(rules).filter((name) => !known.has(name))).toEqual([]);
  }
});

it.each<[Loader, string, Partial<LayerParameters>, string]>([
  ["vllm", "gptq", { bits: 3 }, "of 4, 8 bits, not of 3"],
  ["vllm", "gptq", { symmetric: false }, "only where it is symmetric"],
  ["vllm", "gptq", { tile: { rows: 1, columns: 16 } }, "not of 16"],
  ["vllm", "pack-quantized", { bits: 8, symmetric: false }, "of 8 bits only where it is symmetric"],
  ["vllm", "mlx", {}, "does not load mlx"],
  ["transformers", "gptq", { symmetric: false }, "version 2"],
  ["mlx", "gptq", {}, "does not load gptq"],
  ["llama.cpp", "gptq", { bits: 3 }, "not of 3"],
  ["llama.cpp", "pack-quantized", { tile: { rows: 1, columns: "all" } }, "not of whole rows"],
])("%s and %s %j", (loader, format, change, reason) => {
  expect(compatibility({ format, parameters: { ...W4, ...change }, loader }).join()).toContain(reason);
});

it("has nothing against 4 bits in symmetric groups of 128", () => {
  for (const loader of LOADERS.filter((name) => name !== "mlx")) {
    expect(compatibility({ format: "gptq", parameters: W4, loader })).toEqual([]);
  }
});

it("has nothing against asymmetric grids that kernels have", () => {
  for (const change of [{ symmetric: false }, { bits: 8 }]) {
    expect(
      compatibility({ format: "pack-quantized", parameters: { ...W4, ...change }, loader: "vllm" }),
    ).toEqual([]);
  }
});

it("looks at sizes where they are known", () => {
  const parameters: LayerParameters = { ...W4, bits: 8, tile: { rows: 128, columns: 128 } };
  const reasons = (rows: number, columns: number): string[] =>
    compatibility({ format: "fp8", parameters, loader: "transformers", shape: { rows, columns } });
  expect(reasons(256, 128)).toEqual([]);
  expect(reasons(576, 64)).toHaveLength(2);
});

describe("layers that runtimes fuse", () => {
  const linears = ["q_proj", "k_proj", "v_proj", "o_proj"].map((name) => `model.layers.0.self_attn.${name}`);
  const layersOf = (names: readonly string[]) =>
    names.map((module) => ({ module, format: "gptq", parameters: W4 }));

  it("must be quantized alike", () => {
    expect(modelCompatibility({ layers: layersOf(linears), linears, loader: "vllm" })).toEqual([]);
    expect(modelCompatibility({ layers: layersOf(linears.slice(3)), linears, loader: "vllm" })).toEqual([]);
    const without = modelCompatibility({ layers: layersOf(linears.slice(1)), linears, loader: "vllm" });
    expect(without.join()).toContain("model.layers.0.self_attn.k_proj");
    expect(
      modelCompatibility({ layers: layersOf(linears.slice(1)), linears, loader: "transformers" }),
    ).toEqual([]);
  });
});
