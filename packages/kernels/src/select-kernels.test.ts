import { expect, it } from "vitest";
import type { Backend } from "./backend.ts";
import { rowErrors } from "./row-errors.ts";
import { reportBackends, selectKernels } from "./select-kernels.ts";
import type { BackendLoader } from "./select-kernels.ts";

const broken: BackendLoader = {
  backend: "native",
  load: () => Promise.reject(new Error("wrong ELF class")),
};

const working: BackendLoader = {
  backend: "wasm",
  load: () => Promise.resolve({ isas: ["slow", "fast"], open: emptyBackend }),
};

function emptyBackend(isa: string): Backend {
  return {
    backend: "wasm",
    isa,
    types: [],
    quantize: () => undefined,
    dequantize: () => {},
    measureError: () => rowErrors(new Float64Array(0)),
    math: { pieceBytes: Infinity, run: () => 0 },
  };
}

const askedBy = "a test";

it("falls back to the next backend and says why", async () => {
  const { info } = await selectKernels({ loaders: [broken, working], askedBy });
  expect(info).toEqual({ backend: "wasm", isa: "fast", reason: "native kernels: wrong ELF class" });
});

it("says so when nothing was wished for and nothing failed", async () => {
  const { info } = await selectKernels({ loaders: [working], askedBy });
  expect(info.reason).toBe("wasm kernels are the fastest ones here");
});

it("does not fall back from a backend that was asked for", async () => {
  const forced = selectKernels({ loaders: [broken, working], backend: "native", askedBy });
  await expect(forced).rejects.toThrow(
    expect.objectContaining({
      code: "KERNEL_UNAVAILABLE",
      message: "native kernels, which a test asks for, are not available: native kernels: wrong ELF class",
      cause: expect.objectContaining({ cause: new Error("wrong ELF class") }) as Error,
    }),
  );
});

it("fails with all causes when no backend works", async () => {
  const also: BackendLoader = { backend: "wasm", load: () => Promise.reject(new Error("no simd128")) };
  await expect(selectKernels({ loaders: [broken, also], askedBy })).rejects.toThrow(
    "no kernels are available: native kernels: wrong ELF class; wasm kernels: no simd128",
  );
});

it("reports working and broken backends", async () => {
  expect(await reportBackends([broken, working])).toEqual([
    { backend: "native", isas: [], failure: "wrong ELF class" },
    { backend: "wasm", isas: ["slow", "fast"] },
  ]);
});
