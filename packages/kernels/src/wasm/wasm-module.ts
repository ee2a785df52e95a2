import { QuernError } from "@quern/tensor";

/** The compiled kernels, as bytes, already compiled, or where to fetch them. */
export type WasmSource = BufferSource | WebAssembly.Module | URL | string | Response | Promise<Response>;

/** Compiles the kernels from wherever they are. */
export async function compileWasm(source: WasmSource): Promise<WebAssembly.Module> {
  if (source instanceof WebAssembly.Module) return source;
  if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) return WebAssembly.compile(source);
  const response = await (source instanceof URL || typeof source === "string" ? fetch(source) : source);
  if (!response.ok) {
    throw new QuernError("KERNEL_UNAVAILABLE", `the server answered ${response.status} for ${response.url}`, {
      subject: { file: response.url },
    });
  }
  return WebAssembly.compile(await response.arrayBuffer());
}
