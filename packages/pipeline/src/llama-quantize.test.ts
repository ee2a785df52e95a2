// Whole files against the real llama.cpp: any small model, any type that the kernels write.
// @module-tag kernels
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openGgufModel } from "@quern/checkpoints/node";
import { type GgufMetadata, ggufFloat32, ggufString, type GgufTensorSpec, ggufUint32 } from "@quern/gguf";
import { loadKernels } from "@quern/kernels";
import { findLlamaLibraries, LLAMA_MODEL_QUANTIZE_PARAMS, llamaLibraryPath } from "@quern/peers";
import * as fc from "fast-check";
import koffi from "koffi";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { convert } from "./conversion/convert.ts";
import { planConversion } from "./planning/plan-conversion.ts";
import type { OutputRequest } from "./recipe.ts";
import { listRecipes } from "./recipes.ts";
import { writeRandomGguf } from "./testing/random-gguf.ts";

/** The bytes are those of ggml's x86-64 build. */
function findLibraries(): ReturnType<typeof findLlamaLibraries> {
  if (process.platform === "linux" && process.arch === "x64") return findLlamaLibraries();
  return { missing: `the reference is Linux on x64, not ${process.platform} on ${process.arch}` };
}

type Quantize = (from: string, to: string, params: Readonly<Record<string, unknown>>) => boolean;

function openLibrary(folder: string): Quantize {
  const path = (name: string): string => llamaLibraryPath(folder, name);
  koffi.load(path("libggml-base"), { global: true, lazy: true });
  koffi.load(path("libggml"), { global: true, lazy: true });
  const llama = koffi.load(path("libllama"), { lazy: true });
  const log = koffi.pointer(koffi.proto("void (int level, const char *text, void *data)"));
  llama.func("llama_log_set", "void", [log, "void *"])(
    koffi.register(() => {}, log),
    null,
  );
  const quantizeParams = koffi.struct(LLAMA_MODEL_QUANTIZE_PARAMS);
  const defaults = llama.func("llama_model_quantize_default_params", quantizeParams, [])() as object;
  const quantize = llama.func("llama_model_quantize", "uint32_t", [
    "const char *",
    "const char *",
    koffi.pointer(quantizeParams),
  ]);
  return (from, to, params) => quantize(from, to, { ...defaults, nthread: 1, ...params }) === 0;
}

interface RandomModel {
  readonly layers: number;
  readonly keyHeads: number;
  readonly experts: number;
  /** Rows of these are no multiples of 256, or not even of 32. */
  readonly width: number;
  readonly hasOutput: boolean;
  readonly seed: number;
}

const models: fc.Arbitrary<RandomModel> = fc.record({
  layers: fc.integer({ min: 2, max: 9 }),
  keyHeads: fc.constantFrom(1, 2, 8),
  experts: fc.constantFrom(0, 4, 8),
  width: fc.constantFrom(256, 512, 64, 40),
  hasOutput: fc.boolean(),
  seed: fc.nat(),
});

function metadataOf({ layers, keyHeads, experts }: RandomModel): GgufMetadata {
  const numbers = {
    context_length: 64,
    embedding_length: 256,
    block_count: layers,
    feed_forward_length: 64,
    "attention.head_count": 8,
    "attention.head_count_kv": keyHeads,
    ...(experts === 0 ? {} : { expert_count: experts, expert_used_count: 2 }),
  };
  return new Map([
    ["general.architecture", ggufString("llama")],
    ...Object.entries(numbers).map(([key, value]) => [`llama.${key}`, ggufUint32(value)] as const),
    ["llama.attention.layer_norm_rms_epsilon", ggufFloat32(1e-5)],
    ["custom.key", ggufString("kept")],
  ]);
}

function tensorsOf({ layers, experts, width, hasOutput }: RandomModel): GgufTensorSpec[] {
  const tensor = (name: string, ...ne: number[]): GgufTensorSpec => ({ name, type: "F32", ne });
  const merged = experts === 0 ? [] : [experts];
  const suffix = experts === 0 ? "" : "_exps";
  return [
    tensor("token_embd.weight", 256, 8),
    ...(hasOutput ? [tensor("output.weight", 256, 8)] : []),
    tensor("output_norm.weight", 256),
    ...Array.from({ length: layers }, (_, layer) => [
      tensor(`blk.${layer}.attn_norm.weight`, 256),
      tensor(`blk.${layer}.attn_q.weight`, 256, 8),
      tensor(`blk.${layer}.attn_k.weight`, width, 4),
      tensor(`blk.${layer}.attn_v.weight`, 256, 4),
      tensor(`blk.${layer}.attn_output.weight`, 256, 4),
      tensor(`blk.${layer}.ffn_up${suffix}.weight`, 256, 2, ...merged),
      tensor(`blk.${layer}.ffn_down${suffix}.weight`, width, 2, ...merged),
    ]).flat(),
  ];
}

const kernels = await loadKernels();
const recipes = listRecipes();
/** There are no importance weights for models that are made up. */
const mixtures = recipes.filter(
  ({ name, type }) =>
    type !== undefined &&
    kernels.types.includes(type) &&
    !kernels.requiresImportance(type) &&
    !/^Q2_K_S$|^IQ[12]|^IQ3_X/.test(name),
);
const sourceTypes = mixtures.map(({ name }) => name);
const found = findLibraries();

describe.skipIf("missing" in found)(
  `the real llama.cpp${"missing" in found ? ` (skipped: ${found.missing})` : ""}`,
  () => {
    let quantize: Quantize;
    let folder: string;
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), "llama-quantize-"));
      if ("folder" in found) quantize = openLibrary(found.folder);
    });
    afterAll(() => rm(folder, { recursive: true }));

    /** Whether it could be written. */
    async function write(from: string, output: OutputRequest): Promise<boolean> {
      try {
        const checkpoint = await openGgufModel(from);
        await convert(await planConversion({ checkpoint, outputs: [output], threads: 0, force: true }));
        return true;
      } catch {
        return false;
      }
    }

    it("makes the same files of any model", async () => {
      const [floats, source, ours, theirs] = ["floats", "source", "ours", "theirs"].map((name) =>
        join(folder, `${name}.gguf`),
      ) as [string, string, string, string];
      let same = 0;
      const property = fc.asyncProperty(
        models,
        fc.constantFrom(...sourceTypes),
        fc.constantFrom(
          ...mixtures,
          recipes.find(({ name }) => name === "COPY")!,
        ),
        fc.record({
          pure: fc.boolean(),
          leaveOutputTensor: fc.boolean(),
          allowRequantize: fc.constantFrom(true, true, true, false),
          prunes: fc.boolean(),
        }),
        async (model, sourceType, recipe, { pure, leaveOutputTensor, allowRequantize, prunes }) => {
          await writeRandomGguf({
            path: floats,
            metadata: metadataOf(model),
            tensors: tensorsOf(model),
            seed: model.seed,
          });
          fc.pre(await write(floats, { type: sourceType, path: source }));
          const copies = recipe.name === "COPY";
          const isWritten = await write(source, {
            type: recipe.name,
            path: ours,
            ...(copies ? {} : { pure, leaveOutputTensor, allowRequantize }),
            ...(prunes ? { pruneLayers: [1] } : {}),
          });
          const wasWritten = quantize(source, theirs, {
            ftype: recipe.fileType ?? 0,
            only_copy: copies,
            pure,
            quantize_output_tensor: !leaveOutputTensor,
            allow_requantize: allowRequantize,
            prune_layers: prunes ? Int32Array.of(1, -1) : null,
          });
          expect(isWritten).toBe(wasWritten);
          if (!isWritten) return;
          expect((await readFile(ours)).equals(await readFile(theirs))).toBe(true);
          same++;
        },
      );
      await fc.assert(property, { numRuns: 150 });
      // Most are written; those that both refuse say little.
      expect(same).toBeGreaterThan(30);
    });
  },
);
