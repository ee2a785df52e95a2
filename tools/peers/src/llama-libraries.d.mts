/** The folder of llama.cpp's shared libraries that node-llama-cpp brings for this platform, or why there is none. */
export declare function findLlamaLibraries(): { readonly folder: string } | { readonly missing: string };

/**
 * Path of a library in that folder.
 *
 * @param name without its ending and version: "libggml-base", "libggml", "libllama"
 */
export declare function llamaLibraryPath(folder: string, name: string): string;

/** Fields of `struct llama_model_quantize_params` (llama.h), for koffi. */
export declare const LLAMA_MODEL_QUANTIZE_PARAMS: Readonly<Record<string, string>>;
