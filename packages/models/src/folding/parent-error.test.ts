import { loadKernels } from "@quern/kernels";
import { decodeElements } from "@quern/tensor";
import { describe, expect, it } from "vitest";
import type { TensorReader } from "../expressions/expression.ts";
import { weightNames } from "../expressions/tensor-nodes.ts";
import { evaluateBlock } from "../forward/evaluate/evaluate-block.ts";
import type { BlockGraph } from "../forward/graph.ts";
import { loadParameters } from "../forward/load-parameters.ts";
import { planForward } from "../forward/plan/plan-forward.ts";
import { forwardCase, type LoadedCheckpoint, loadCase } from "../testing/forward-case.ts";
import { randomNormal } from "../testing/random-normal.ts";
import { describeFoldings } from "./describe-foldings.ts";
import type { Folding } from "./folding.ts";
import { parentErrors } from "./parent-error.ts";
import { applyParent, type FoldingParent, parentOf } from "./parent.ts";

const kernels = await loadKernels();

const TOKENS = 12;
const STARTS = [0, 7];

interface Place {
  readonly folding: Folding;
  readonly parent: FoldingParent;
}

async function firstBlock(
  name: string,
): Promise<{ loaded: LoadedCheckpoint; graph: BlockGraph; places: Place[]; without: string[] }> {
  const loaded = await loadCase(forwardCase(name));
  const { foldings } = describeFoldings({ description: loaded.description, tensors: loaded.sources });
  const graph = planForward(loaded.model).blocks.at(-1)!;
  const places: Place[] = [];
  const without: string[] = [];
  for (const folding of foldings.filter(({ layer }) => layer === graph.layer)) {
    const parent = parentOf(graph, folding);
    if (parent === undefined) without.push(folding.name.replace(/^blk\.\d+\./, ""));
    else places.push({ folding, parent });
  }
  return { loaded, graph, places, without };
}

/** All of a tensor of the checkpoint. */
async function valuesOf({ reader, sources }: LoadedCheckpoint, name: string): Promise<Float32Array> {
  const { shape, type } = sources.get(name)!;
  const rows = shape.slice(0, -1).reduce((all, size) => all * size, 1);
  return decodeElements({ type, bytes: await reader.readRows(name, 0, rows) });
}

/** The checkpoint in F32, with other weights here and there. */
function replaced(loaded: LoadedCheckpoint, changed: ReadonlyMap<string, Float32Array>): TensorReader {
  const { reader, sources } = loaded;
  return {
    info: (name) => ({ ...reader.info(name), type: "F32" }),
    async readRows(name, start, count) {
      const columns = sources.get(name)!.shape.at(-1)!;
      const values =
        changed.get(name)?.slice(start * columns, (start + count) * columns) ??
        decodeElements({ type: reader.info(name).type, bytes: await reader.readRows(name, start, count) });
      return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    },
  };
}

function relative(actual: Float32Array, expected: Float32Array): number {
  let [difference, signal] = [0, 0];
  for (const [index, value] of expected.entries()) {
    difference += (actual[index]! - value) ** 2;
    signal += value ** 2;
  }
  return difference / signal;
}

describe("what a parent loses", () => {
  it.each([
    ["llama2-spm", ["attention", "feed-forward"]],
    ["phi3-long", ["attention", "feed-forward"]],
    ["gpt-oss", ["attention"]],
    ["gemma3", ["attention", "feed-forward"]],
    ["qwen2moe", ["attention", "feed-forward"]],
    ["qwen3moe", ["attention", "feed-forward"]],
    ["deepseek2-lite", ["attention", "feed-forward"]],
    ["falcon40b", ["attention", "feed-forward"]],
  ])("is what the forward pass of %s with other weights gives", async (name, kinds) => {
    const { loaded, places } = await firstBlock(name);
    expect(places.map(({ parent }) => parent.kind).sort()).toEqual(kinds);
    const tensors = new Map(loaded.tensors.map((tensor) => [tensor.name, tensor]));
    for (const { folding, parent } of places) {
      const layers = folding.multiplied.map(({ tensor }) => tensor);
      const original = await Promise.all(layers.map((layer) => valuesOf(loaded, layer)));
      const changed = original.map((values, index) => {
        const noise = randomNormal(values.length, index);
        return values.map((value, element) => value * (1 + noise[element]! / 8));
      });
      const input = { rows: Float32Array.from(randomNormal(TOKENS * parent.width, 5)), starts: STARTS };
      const own = parent.tensors.flatMap((tensor) => tensors.get(tensor) ?? []);
      const weights = new Set(own.flatMap(({ expression }) => weightNames(expression)));
      const errorOf = await parentErrors({
        parent,
        tensors: own,
        reader: loaded.reader,
        weights: [...weights].map((weight) => loaded.sources.get(weight)!),
        layers,
        input,
        kernels,
      });
      const outputWith = async (weight: ReadonlyMap<string, Float32Array>): Promise<Float32Array> => {
        const reader = replaced(loaded, weight);
        const parameters = await loadParameters({
          tensors: new Map(own.map((tensor) => [tensor.name, { ...tensor, storage: "f32" as const }])),
          reader,
          names: parent.tensors,
        });
        return applyParent({ kernels, parameters }, parent, input);
      };
      const expected = await outputWith(new Map());
      const all = new Map(layers.map((layer, index) => [layer, changed[index]!]));
      const error = relative(await outputWith(all), expected);
      expect(error).toBeGreaterThan(1e-3);
      expect(errorOf(changed) / error).toBeCloseTo(1, 4);
      // Each layer counts, and none leaves anything behind.
      for (const [index, layer] of layers.entries()) {
        if (/\.experts\.\d/.test(layer)) continue;
        const one = original.map((values, other) => (other === index ? changed[index]! : values));
        const alone = relative(await outputWith(new Map([[layer, changed[index]!]])), expected);
        // What a router does may be nothing at all.
        expect(alone < 1e-9 || Math.abs(errorOf(one) / alone - 1) < 5e-4, layer).toBe(true);
      }
      expect(errorOf(original)).toBeLessThan(1e-9);
    }
  });

  it("is computed by hand for a gated network", async () => {
    const { loaded, places } = await firstBlock("llama2-spm");
    const { folding, parent } = places.find((place) => place.parent.kind === "feed-forward")!;
    const names = folding.multiplied.map(({ tensor }) => tensor);
    const own = loaded.tensors.filter(({ name }) => parent.tensors.includes(name));
    const down = weightNames(own.find(({ name }) => name.includes("ffn_down"))!.expression)[0]!;
    const rows = Float32Array.from(randomNormal(3 * parent.width, 9));
    const sources = [...names, down].map((name) => loaded.sources.get(name)!);
    const errorOf = await parentErrors({
      parent,
      tensors: own,
      reader: loaded.reader,
      weights: sources,
      layers: names,
      input: { rows },
      kernels,
    });
    const weights = await Promise.all(names.map((name) => valuesOf(loaded, name)));
    const changed = weights.map((values) => values.map((value) => Math.round(value * 64) / 64));
    const last = await valuesOf(loaded, down);
    const times = (matrix: Float32Array, x: Float32Array): Float32Array =>
      Float32Array.from({ length: matrix.length / x.length }, (_, row) =>
        x.reduce((sum, value, column) => sum + value * matrix[row * x.length + column]!, 0),
      );
    const isGate = (name: string): boolean => name.includes("gate_proj");
    const outputs = (matrices: readonly Float32Array[]): Float32Array => {
      const gate = matrices[names.findIndex(isGate)]!;
      const up = matrices[names.findIndex((name) => !isGate(name))]!;
      return Float32Array.from(
        [0, 1, 2].flatMap((token) => {
          const x = rows.subarray(token * parent.width, (token + 1) * parent.width);
          const raised = times(up, x);
          const inner = times(gate, x).map((value, i) => (value / (1 + Math.exp(-value))) * raised[i]!);
          return [...times(last, inner)];
        }),
      );
    };
    expect(errorOf(changed) / relative(outputs(changed), outputs(weights))).toBeCloseTo(1, 3);
  });

  it("is of attention as a block computes it, within sequences", async () => {
    const { loaded, graph, places } = await firstBlock("llama2-spm");
    const { parent } = places.find((place) => place.parent.kind === "attention")!;
    const tensors = new Map(loaded.tensors.map((tensor) => [tensor.name, tensor]));
    const { reader } = loaded;
    const parameters = new Map(await loadParameters({ tensors, reader, names: graph.tensors }));
    const { down } = (graph.feedForward as Extract<FoldingParent["graph"], { kind: "dense" }>).network;
    const silent = new Float32Array(down.inputs * down.outputs);
    parameters.set(`${down.module}.weight`, {
      type: "F32",
      shape: [down.outputs, down.inputs],
      data: silent,
    });
    let rows: Float32Array | undefined;
    const hidden = Float32Array.from(randomNormal(TOKENS * parent.width, 3));
    const after = evaluateBlock({
      graph,
      evaluation: { kernels, parameters, observe: ({ input }) => (rows ??= input.slice()) },
      hidden,
      tokens: TOKENS,
      starts: STARTS,
    });
    const output = applyParent({ kernels, parameters }, parent, { rows: rows!, starts: STARTS });
    expect(
      relative(
        output,
        after.map((value, index) => value - hidden[index]!),
      ),
    ).toBeLessThan(1e-9);
    const whole = applyParent({ kernels, parameters }, parent, { rows: rows! });
    expect(relative(whole, output)).toBeGreaterThan(1e-3);
  });

  it.each([
    ["llama2-spm", ["attn_v", "ffn_up"]],
    ["cohere2", ["attn_norm", "attn_v", "ffn_up"]],
    ["deepseek2-lite", ["attn_v_b", "ffn_up_shexp", "ffn_up_exps"]],
  ])("is that of the layers themselves for some places of %s", async (name, expected) => {
    const { without } = await firstBlock(name);
    expect([...new Set(without.map((place) => place.replace(/\.\d+$/, "")))]).toEqual(expected);
  });
});
