// Logits of the real llama.cpp: the library of node-llama-cpp's package for this platform, on its CPU, in a process of its own, which it
// ends where it meets something unexpected. As a program: node llama-model.mjs <file.gguf> <token> ..., logits to standard output.
import { execFile } from "node:child_process";
import { writeSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { findLlamaLibraries, llamaLibraryPath } from "@quern/peers";
import koffi from "koffi";

/** Fields of `struct llama_model_params` (include/llama.h of llama.cpp v0.5.0), in their order. */
const MODEL_PARAMS = koffi.struct("llama_model_params", {
  devices: "void *",
  tensor_buft_overrides: "void *",
  n_gpu_layers: "int32_t",
  split_mode: "int32_t",
  load_mode: "int32_t",
  lazy_mode: "int32_t",
  main_gpu: "int32_t",
  tensor_split: "void *",
  progress_callback: "void *",
  progress_callback_user_data: "void *",
  kv_overrides: "void *",
  vocab_only: "bool",
  check_tensors: "bool",
  use_extra_bufts: "bool",
  no_host: "bool",
  no_alloc: "bool",
  load_mtp: "bool",
});

/** Fields of `struct llama_context_params`. */
const CONTEXT_PARAMS = koffi.struct("llama_context_params", {
  n_ctx: "uint32_t",
  n_batch: "uint32_t",
  n_ubatch: "uint32_t",
  n_seq_max: "uint32_t",
  n_rs_seq: "uint32_t",
  n_outputs_max: "uint32_t",
  n_outputs_max_per_seq: "uint32_t",
  n_threads: "int32_t",
  n_threads_batch: "int32_t",
  ctx_type: "int32_t",
  rope_scaling_type: "int32_t",
  pooling_type: "int32_t",
  attention_type: "int32_t",
  flash_attn_type: "int32_t",
  rope_freq_base: "float",
  rope_freq_scale: "float",
  yarn_ext_factor: "float",
  yarn_attn_factor: "float",
  yarn_beta_fast: "float",
  yarn_beta_slow: "float",
  yarn_orig_ctx: "uint32_t",
  defrag_thold: "float",
  cb_eval: "void *",
  cb_eval_user_data: "void *",
  type_k: "int32_t",
  type_v: "int32_t",
  abort_callback: "void *",
  abort_callback_data: "void *",
  embeddings: "bool",
  offload_kqv: "bool",
  no_perf: "bool",
  op_offload: "bool",
  swa_full: "bool",
  kv_unified: "bool",
  samplers: "void *",
  n_samplers: "size_t",
  ctx_other: "void *",
});

/** Fields of `struct llama_batch`. */
const BATCH = koffi.struct("llama_batch", {
  n_tokens: "int32_t",
  token: "int32_t *",
  embd: "void *",
  pos: "int32_t *",
  n_seq_id: "int32_t *",
  seq_id: "void *",
  logits: "int8_t *",
});

const GGML_TYPE_F32 = 0;
const LLAMA_FLASH_ATTN_TYPE_DISABLED = 0;

/**
 * Logits of a sequence as llama.cpp computes them, tokens x vocabulary. Keys and values are in F32, attention is evaluated as written.
 *
 * @throws Error where this platform has no library, or llama.cpp does not run the file
 */
export async function llamaLogits({ path, tokens }) {
  const argv = [fileURLToPath(import.meta.url), path, ...tokens.map(String)];
  const options = { encoding: "buffer", maxBuffer: 1 << 30 };
  const { stdout } = await promisify(execFile)(process.execPath, argv, options).catch(({ stderr }) => {
    throw new Error(`llama.cpp does not run ${path}: ${stderr.toString().trim().split("\n").at(-1)}`);
  });
  return new Float32Array(stdout.buffer.slice(stdout.byteOffset, stdout.byteOffset + stdout.byteLength));
}

function main([path, ...tokens]) {
  const functions = loadFunctions();
  const { loadModel, modelDefaults, createContext, contextDefaults } = functions;
  const model = loadModel(path, { ...modelDefaults(), n_gpu_layers: 0, use_extra_bufts: false });
  if (model === null) throw new Error("the file is not loaded");
  const context = createContext(model, {
    ...contextDefaults(),
    n_ctx: tokens.length,
    n_batch: tokens.length,
    n_ubatch: tokens.length,
    n_threads: 1,
    n_threads_batch: 1,
    flash_attn_type: LLAMA_FLASH_ATTN_TYPE_DISABLED,
    type_k: GGML_TYPE_F32,
    type_v: GGML_TYPE_F32,
    offload_kqv: false,
    op_offload: false,
  });
  if (context === null) throw new Error("no context");
  const logits = new Uint8Array(decode({ functions, model, context, tokens: tokens.map(Number) }));
  for (let written = 0; written < logits.length;) written += writeSync(1, logits, written);
}

function decode({ functions, model, context, tokens }) {
  const batch = {
    n_tokens: tokens.length,
    token: Int32Array.from(tokens),
    embd: null,
    // Positions go on from the beginning, all in one sequence.
    pos: null,
    n_seq_id: null,
    seq_id: null,
    logits: new Int8Array(tokens.length).fill(1),
  };
  const status = functions.decode(context, batch);
  if (status !== 0) throw new Error(`llama_decode returned ${status}`);
  const vocabulary = functions.vocabularySize(functions.vocabulary(model));
  return koffi.view(functions.logits(context), 4 * tokens.length * vocabulary);
}

function loadFunctions() {
  const found = findLlamaLibraries();
  if ("missing" in found) throw new Error(found.missing);
  const path = (name) => llamaLibraryPath(found.folder, name);
  // The loader resolves dependencies by name only among libraries that are already open.
  koffi.load(path("libggml-base"), { global: true, lazy: true });
  const backend = koffi.load(path("libggml"), { global: true, lazy: true });
  backend.func("void ggml_backend_load_all_from_path(const char *folder)")(found.folder);
  const llama = koffi.load(path("libllama"), { lazy: true });
  const quiet = koffi.register(
    () => {},
    koffi.pointer(koffi.proto("void log_callback(int, const char *, void *)")),
  );
  llama.func("void llama_log_set(void *callback, void *data)")(quiet, null);
  llama.func("void llama_backend_init()")();
  return {
    modelDefaults: llama.func("llama_model_default_params", MODEL_PARAMS, []),
    contextDefaults: llama.func("llama_context_default_params", CONTEXT_PARAMS, []),
    loadModel: llama.func("llama_model_load_from_file", "void *", ["str", MODEL_PARAMS]),
    createContext: llama.func("llama_init_from_model", "void *", ["void *", CONTEXT_PARAMS]),
    decode: llama.func("llama_decode", "int32_t", ["void *", BATCH]),
    logits: llama.func("llama_get_logits", "void *", ["void *"]),
    vocabulary: llama.func("llama_model_get_vocab", "void *", ["void *"]),
    vocabularySize: llama.func("llama_vocab_n_tokens", "int32_t", ["void *"]),
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main(process.argv.slice(2));
