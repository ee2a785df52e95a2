import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { kernelInfo, loadKernels } from "./load-kernels.ts";

beforeEach(() => {
  vi.stubEnv("QUERN_KERNELS", "");
  vi.stubEnv("QUERN_KERNELS_ISA", "");
});

afterEach(() => {
  vi.unstubAllEnvs();
});

describe("loadKernels", () => {
  it("prefers what is fastest here", async () => {
    const reports = await kernelInfo();
    const best = reports.find(({ isas }) => isas.length > 0)!;
    const { info } = await loadKernels();
    expect(info.backend).toBe(best.backend);
    expect(info.isa).toBe(best.isas.at(-1));
    expect(info.reason).toMatch(/native kernels/);
  });

  it("opens every instruction set by name, and finds the backend for it", async () => {
    for (const { backend, isas } of await kernelInfo()) {
      for (const isa of isas) {
        const { info, types } = await loadKernels({ isa });
        expect(info).toEqual({ backend, isa, reason: `${isa} was asked for by loadKernels` });
        expect(types).toContain("Q8_0");
      }
    }
  });

  it("obeys the environment", async () => {
    vi.stubEnv("QUERN_KERNELS", "wasm");
    expect((await loadKernels()).info).toEqual({
      backend: "wasm",
      isa: "simd128",
      reason: "wasm was asked for by QUERN_KERNELS=wasm",
    });
    vi.stubEnv("QUERN_KERNELS", "");
    vi.stubEnv("QUERN_KERNELS_ISA", "simd128");
    expect((await loadKernels()).info.reason).toBe("simd128 was asked for by QUERN_KERNELS_ISA=simd128");
  });

  it("lets a call overrule the environment", async () => {
    vi.stubEnv("QUERN_KERNELS", "native");
    vi.stubEnv("QUERN_KERNELS_ISA", "avx2");
    const { info } = await loadKernels({ backend: "wasm" });
    expect(info).toMatchObject({ backend: "wasm", reason: "wasm was asked for by loadKernels" });
  });

  it("names every cause when a wish cannot be met", async () => {
    vi.stubEnv("QUERN_KERNELS_ISA", "sse9");
    await expect(loadKernels()).rejects.toThrow(
      expect.objectContaining({
        code: "KERNEL_UNAVAILABLE",
        message: expect.stringMatching(
          /^sse9 kernels, which QUERN_KERNELS_ISA=sse9 asks for, are not available: native kernels: .+; wasm kernels: no instruction set "sse9", only simd128$/,
        ) as string,
        cause: expect.any(AggregateError) as AggregateError,
      }),
    );
    await expect(loadKernels({ backend: "wasm", isa: "avx2" })).rejects.toThrow(
      'wasm avx2 kernels, which loadKernels asks for, are not available: wasm kernels: no instruction set "avx2", only simd128',
    );
  });

  it("refuses a backend that does not exist", async () => {
    vi.stubEnv("QUERN_KERNELS", "gpu");
    await expect(loadKernels()).rejects.toThrow(
      "gpu kernels, which QUERN_KERNELS=gpu asks for, are not available: there are native and wasm kernels here",
    );
  });
});
