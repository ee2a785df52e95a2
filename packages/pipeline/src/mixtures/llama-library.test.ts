import {
  type GgufMetadata,
  ggmlType,
  ggmlTypeById,
  ggufString,
  ggufUint32,
  type GgufTensorSpec,
} from "@quern/gguf";
import { findLlamaLibraries, LLAMA_MODEL_QUANTIZE_PARAMS, llamaLibraryPath } from "@quern/peers";
import { QuernError } from "@quern/tensor";
import * as fc from "fast-check";
import koffi from "koffi";
import { beforeAll, describe, expect, it } from "vitest";
import { MIXTURES, quantizedTensorOrder, selectQuantizedTypes } from "./index.ts";

/** The functions to call are C++: their names here are those of the Itanium ABI. */
function findLibraries(): ReturnType<typeof findLlamaLibraries> {
  if (process.platform !== "linux") return { missing: `names are those of Linux, not ${process.platform}` };
  return findLlamaLibraries();
}

interface ModelDescription {
  readonly architecture: string;
  readonly layers: number;
  readonly heads: number;
  readonly keyHeads: number;
  readonly experts: number;
}

type ChooseTypes = (
  model: ModelDescription,
  fileTypes: readonly number[],
  tensors: readonly GgufTensorSpec[],
) => string[][];

/** llama.cpp's own choice: the functions of src/llama-ext.h, on a model that consists of its description. */
function openLibrary(folder: string): ChooseTypes {
  const path = (name: string): string => llamaLibraryPath(folder, name);
  const base = koffi.load(path("libggml-base"), { global: true, lazy: true });
  koffi.load(path("libggml"), { global: true, lazy: true });
  const llama = koffi.load(path("libllama"), { lazy: true });

  const initParams = koffi.struct({ mem_size: "size_t", mem_buffer: "void *", no_alloc: "bool" });
  const init = base.func("ggml_init", "void *", [initParams]);
  const free = base.func("void ggml_free(void *context)");
  const newTensor = base.func(
    "void *ggml_new_tensor(void *context, int type, int n_dims, const int64_t *ne)",
  );
  const setName = base.func("void *ggml_set_name(void *tensor, const char *name)");

  const description = koffi.struct({
    architecture: "const char *",
    n_embd: "uint32_t",
    n_ff: "uint32_t",
    n_layer: "uint32_t",
    n_head: "uint32_t",
    n_head_kv: "uint32_t",
    n_expert: "uint32_t",
    n_embd_head_k: "uint32_t",
    n_embd_head_v: "uint32_t",
  });
  const quantizeParams = koffi.struct(LLAMA_MODEL_QUANTIZE_PARAMS);
  const log = koffi.pointer(koffi.proto("void (int level, const char *text, void *data)"));
  llama.func("llama_log_set", "void", [log, "void *"])(
    koffi.register(() => {}, log),
    null,
  );
  const defaults = llama.func("llama_model_quantize_default_params", quantizeParams, [])();
  const makeModel = llama.func("_Z31llama_quant_model_from_metadataPK22llama_quant_model_desc", "void *", [
    koffi.pointer(description),
  ]);
  const freeModel = llama.func("void llama_model_free(void *model)");
  const makeState = llama.func(
    "_Z16llama_quant_initPK11llama_modelPK27llama_model_quantize_params",
    "void *",
    ["void *", koffi.pointer(quantizeParams)],
  );
  const freeState = llama.func("_Z16llama_quant_freeP19quantize_state_impl", "void", ["void *"]);
  const compute = llama.func(
    "_Z25llama_quant_compute_typesP19quantize_state_impl11llama_ftypePP11ggml_tensorP9ggml_typem",
    "void",
    ["void *", "int", "void **", koffi.out("int *"), "size_t"],
  );

  return ({ architecture, layers, heads, keyHeads, experts }, fileTypes, tensors) => {
    const model = makeModel({
      architecture,
      n_embd: 64,
      n_ff: 64,
      n_layer: layers,
      n_head: heads,
      n_head_kv: keyHeads,
      n_expert: experts,
      n_embd_head_k: 64,
      n_embd_head_v: 64,
    });
    // The state keeps the address of the parameters.
    const params = koffi.alloc(quantizeParams, 1);
    koffi.encode(params, quantizeParams, defaults);
    const context = init({ mem_size: (tensors.length + 1) * 512, mem_buffer: null, no_alloc: true });
    const pointers = tensors.map(({ name, type, ne }) => {
      const tensor = newTensor(context, ggmlType(type).id, ne.length, BigInt64Array.from(ne, BigInt));
      setName(tensor, name);
      return tensor;
    });
    const chosen = fileTypes.map((fileType) => {
      const state = makeState(model, params);
      const types = new Int32Array(tensors.length);
      compute(state, fileType, pointers, types, tensors.length);
      freeState(state);
      return Array.from(types, (id) => ggmlTypeById(id).name);
    });
    free(context);
    freeModel(model);
    koffi.free(params);
    return chosen;
  };
}

const columns = fc.constantFrom(256, 256, 512, 256, 128, 64, 96, 80);
const OUTSIDE_BLOCKS = [
  "output.weight",
  "output_norm.weight",
  "token_embd.weight",
  "per_layer_token_embd.weight",
  "position_embd.weight",
];
const IN_BLOCKS = [
  "attn_norm.weight",
  "attn_q.weight",
  "attn_k.weight",
  "attn_v.weight",
  "attn_v.bias",
  "attn_qkv.weight",
  "attn_kv_b.weight",
  "attn_output.weight",
  "ffn_up.weight",
  "ffn_gate.weight",
  "ffn_down.weight",
  "ffn_up_exps.weight",
  "ffn_gate_exps.weight",
  "ffn_down_exps.weight",
  "ffn_down_shexp.weight",
  "ffn_gate_inp.weight",
  "attn_k_b.weight",
  "ssm_conv1d.weight",
  "ssm_in.weight",
];

const models: fc.Arbitrary<ModelDescription> = fc
  .record({
    architecture: fc.constantFrom("llama", "falcon", "qwen2", "deepseek2", "bailingmoe3"),
    layers: fc.constantFrom(1, 7, 16, 27, 32, 80),
    heads: fc.constantFrom(8, 32),
    keyHeads: fc.constantFrom(1, 4, 8, 32),
    experts: fc.constantFrom(0, 1, 4, 8, 64),
  })
  // There is no Falcon with experts, and the function called here takes no qwen2 model for a large one.
  .filter(({ architecture, experts }) => architecture !== "falcon" || experts === 0)
  .filter(({ architecture, layers }) => architecture !== "qwen2" || layers !== 80);

function shapeOf(name: string, columns: number): number[] {
  if (!name.endsWith(".weight") || name.includes("norm")) return [columns];
  return name.includes("exps") || name.includes("k_b") ? [columns, 4, 3] : [columns, 4];
}

/** The tensors of a model: in all blocks the same parts, as far as they are not left out of one. */
const modelsWithTensors = models.chain((model) =>
  fc
    .record({
      outside: fc.subarray(OUTSIDE_BLOCKS),
      parts: fc.uniqueArray(fc.record({ name: fc.constantFrom(...IN_BLOCKS), columns }), {
        selector: ({ name }) => name,
        maxLength: 8,
      }),
      embedding: columns,
      leftOut: fc.array(fc.nat({ max: 7 }), { maxLength: 3 }),
      type: fc.constantFrom("F32", "F16", "BF16"),
    })
    .map(({ outside, parts, embedding, leftOut, type }) => {
      const tensors = outside.map((name) => ({ name, ne: shapeOf(name, embedding), type }));
      for (let block = 0; block < model.layers; block++) {
        for (const [index, { name, columns: width }] of parts.entries()) {
          if (block % 5 === 2 && leftOut.includes(index)) continue;
          tensors.push({ name: `blk.${block}.${name}`, ne: shapeOf(name, width), type });
        }
      }
      return { model, tensors: quantizedTensorOrder(tensors) };
    }),
);

function metadataOf({ architecture, layers, heads, keyHeads, experts }: ModelDescription): GgufMetadata {
  return new Map([
    ["general.architecture", ggufString(architecture)],
    [`${architecture}.block_count`, ggufUint32(layers)],
    [`${architecture}.attention.head_count`, ggufUint32(heads)],
    [`${architecture}.attention.head_count_kv`, ggufUint32(keyHeads)],
    [`${architecture}.expert_count`, ggufUint32(experts)],
  ]);
}

const found = findLibraries();

describe.skipIf("missing" in found)(
  `the real llama.cpp${"missing" in found ? ` (skipped: ${found.missing})` : ""}`,
  () => {
    let chooseTypes: ChooseTypes;
    beforeAll(() => {
      if ("folder" in found) chooseTypes = openLibrary(found.folder);
    });

    it("chooses the same types for any model", () => {
      let compared = 0;
      fc.assert(
        fc.property(modelsWithTensors, ({ model, tensors }) => {
          // llama.cpp's function knows qwen2 models of 80 blocks as large only when it reads them from a file.
          fc.pre(!(model.architecture === "qwen2" && model.layers === 80));
          const metadata = metadataOf(model);
          const ours = new Map<number, string[]>();
          for (const mixture of MIXTURES) {
            try {
              const selected = selectQuantizedTypes({ mixture, metadata, tensors, hasImportance: false });
              ours.set(
                mixture.fileType,
                selected.map(({ type }) => type),
              );
            } catch (error) {
              // llama.cpp throws a C++ exception here, which must not reach this process.
              if (!(error instanceof QuernError && error.code === "MIXTURE_NO_FALLBACK")) throw error;
            }
          }
          expect([...ours.values()]).toEqual(chooseTypes(model, [...ours.keys()], tensors));
          compared += ours.size;
        }),
        { numRuns: 300 },
      );
      expect(compared).toBeGreaterThan(300 * 25);
    });
  },
);
