import { readFile } from "node:fs/promises";
import type { BackendReport, KernelBackend, Kernels, LoadKernelsParams } from "../kernels.ts";
import { reportBackends, selectKernels } from "../select-kernels.ts";
import type { BackendLoader, SelectKernelsParams } from "../select-kernels.ts";
import { wasmLoader } from "../wasm/wasm-loader.ts";
import { nativeLoader } from "./native-loader.ts";

/** The same file seen from src/node and from dist/node. */
const WASM = new URL("../../dist/quern-kernels.wasm", import.meta.url);

function loaders(params: LoadKernelsParams): readonly BackendLoader[] {
  return [nativeLoader, wasmLoader(() => params.wasm ?? readFile(WASM))];
}

/**
 * Loads the kernels for this thread: the native addon with the fastest instruction set of the processor, or Wasm where the
 * addon does not load. Each call makes an instance of its own.
 *
 * For calls that ask for nothing, the environment may: `QUERN_KERNELS` names a backend (native or wasm), `QUERN_KERNELS_ISA` an
 * instruction set (baseline, avx2, avx512, neon or simd128).
 *
 * @throws QuernError `KERNEL_UNAVAILABLE` with all causes when nothing works that was asked for.
 */
export async function loadKernels(params: LoadKernelsParams = {}): Promise<Kernels> {
  const wish = params.backend || params.isa ? { ...params, askedBy: "loadKernels" } : environmentWish();
  return selectKernels({ ...wish, loaders: loaders(params) });
}

/** Which backends and instruction sets work here. */
export async function kernelInfo(
  params: Pick<LoadKernelsParams, "wasm"> = {},
): Promise<readonly BackendReport[]> {
  return reportBackends(loaders(params));
}

function environmentWish(): Omit<SelectKernelsParams, "loaders"> {
  const { QUERN_KERNELS: backend, QUERN_KERNELS_ISA: isa } = process.env;
  const asking = Object.entries({ QUERN_KERNELS: backend, QUERN_KERNELS_ISA: isa }).filter(
    ([, value]) => value,
  );
  return {
    backend: (backend || undefined) as KernelBackend | undefined,
    isa: isa || undefined,
    askedBy: asking.map((pair) => pair.join("=")).join(" "),
  };
}
