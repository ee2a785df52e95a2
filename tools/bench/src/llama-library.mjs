// The real llama.cpp: `llama_model_quantize` of the library in node-llama-cpp's package for this platform.
//   node tools/bench/src/llama-library.mjs <input.gguf> <output.gguf> <llama_ftype number> <threads>
import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import koffi from "koffi";

/** @returns the folder of ggml's and llama's shared libraries for this platform */
export function llamaLibraryFolder() {
  const fromBench = createRequire(import.meta.url);
  const fromNodeLlama = createRequire(fromBench.resolve("node-llama-cpp"));
  const platform = `${process.platform === "darwin" ? "mac" : "linux"}-${process.arch}`;
  const entry = fromNodeLlama.resolve(`@node-llama-cpp/${platform}`);
  return join(dirname(dirname(entry)), "bins", platform);
}

function openLlama() {
  const folder = llamaLibraryFolder();
  const find = (pattern) =>
    join(
      folder,
      readdirSync(folder).find((file) => pattern.test(file)),
    );
  // The loader resolves dependencies by name only among libraries that are already open.
  for (const pattern of [/^libggml-base\./, /^libggml\./])
    koffi.load(find(pattern), { global: true, lazy: true });
  const backend = koffi.load(find(/^libggml\./), { global: true, lazy: true });
  backend.func("void ggml_backend_load_all_from_path(const char *folder)")(folder);
  return koffi.load(find(/^libllama\./), { lazy: true });
}

// include/llama.h, struct llama_model_quantize_params
const quantizeParams = koffi.struct("llama_model_quantize_params", {
  nthread: "int32_t",
  ftype: "int32_t",
  output_tensor_type: "int32_t",
  token_embedding_type: "int32_t",
  allow_requantize: "bool",
  quantize_output_tensor: "bool",
  only_copy: "bool",
  pure: "bool",
  keep_split: "bool",
  dry_run: "bool",
  imatrix: "void *",
  kv_overrides: "void *",
  tt_overrides: "void *",
  prune_layers: "void *",
  max_buf_size: "size_t",
});

function quantize([input, output, fileType, threads]) {
  const llama = openLlama();
  llama.func("void llama_backend_init()")();
  const quiet = koffi.register(
    () => {},
    koffi.pointer(koffi.proto("void log_callback(int, const char *, void *)")),
  );
  llama.func("void llama_log_set(void *callback, void *data)")(quiet, null);
  const params = llama.func("llama_model_quantize_default_params", quantizeParams, [])();
  Object.assign(params, { nthread: Number(threads), ftype: Number(fileType) });
  const run = llama.func("llama_model_quantize", "uint32_t", ["str", "str", koffi.pointer(quantizeParams)]);
  const status = run(input, output, params);
  if (status !== 0) throw new Error(`llama_model_quantize returned ${status}`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) quantize(process.argv.slice(2));
