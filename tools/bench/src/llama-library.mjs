// The real llama.cpp: `llama_model_quantize` of the library in node-llama-cpp's package for this platform.
//   node tools/bench/src/llama-library.mjs <input.gguf> <output.gguf> <llama_ftype number> <threads>
import { fileURLToPath } from "node:url";
import { findLlamaLibraries, LLAMA_MODEL_QUANTIZE_PARAMS, llamaLibraryPath } from "@quern/peers";
import koffi from "koffi";

/** Throws where this platform has no libraries: there is nothing to compare with. */
export function llamaLibraryFolder() {
  const found = findLlamaLibraries();
  if ("missing" in found) throw new Error(found.missing);
  return found.folder;
}

function openLlama() {
  const folder = llamaLibraryFolder();
  const path = (name) => llamaLibraryPath(folder, name);
  // The loader resolves dependencies by name only among libraries that are already open.
  koffi.load(path("libggml-base"), { global: true, lazy: true });
  const backend = koffi.load(path("libggml"), { global: true, lazy: true });
  backend.func("void ggml_backend_load_all_from_path(const char *folder)")(folder);
  return koffi.load(path("libllama"), { lazy: true });
}

const quantizeParams = koffi.struct("llama_model_quantize_params", LLAMA_MODEL_QUANTIZE_PARAMS);

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
