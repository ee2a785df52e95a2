// JavaScript with declarations beside it, because benchmarks run it unbuilt and Node 20 does not run TypeScript.
import { existsSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

export function findLlamaLibraries() {
  const platform = `${process.platform === "darwin" ? "mac" : process.platform}-${process.arch}`;
  const name = `@node-llama-cpp/${platform}`;
  try {
    const fromNodeLlama = createRequire(createRequire(import.meta.url).resolve("node-llama-cpp"));
    const folder = join(dirname(dirname(fromNodeLlama.resolve(name))), "bins", platform);
    return existsSync(folder) ? { folder } : { missing: `${name} holds no libraries` };
  } catch (error) {
    if (error.code !== "MODULE_NOT_FOUND") throw error;
    return { missing: `${name} is not installed` };
  }
}

export function llamaLibraryPath(folder, name) {
  const file = readdirSync(folder).find((file) => file.startsWith(`${name}.`));
  if (file === undefined) throw new Error(`${folder} holds no ${name}`);
  return join(folder, file);
}

export const LLAMA_MODEL_QUANTIZE_PARAMS = {
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
};
