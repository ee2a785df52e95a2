import type { BackendLoader } from "../select-kernels.ts";
import { wasmBackend } from "./wasm-backend.ts";
import { compileWasm } from "./wasm-module.ts";
import type { WasmSource } from "./wasm-module.ts";

/** The Wasm kernels; `locate` says where they are. */
export function wasmLoader(locate: () => WasmSource | Promise<WasmSource>): BackendLoader {
  return {
    backend: "wasm",
    async load() {
      const backend = await wasmBackend(await compileWasm(await locate()));
      return { isas: [backend.isa], open: () => backend };
    },
  };
}
