import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as browser from "../browser.ts";
import { loadKernels } from "../index.ts";
import { bytesOf, rowSize } from "../testing/backends.ts";
import { gaussianWeights } from "../testing/weights.ts";

const bytes = await readFile(new URL("../../dist/quern-kernels.wasm", import.meta.url));
const server = createServer((request, response) => {
  if (request.url === "/kernels.wasm") response.end(bytes);
  else response.writeHead(404).end();
});
let origin: string;

beforeAll(async () => {
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(() => {
  server.close();
});

describe("where Wasm kernels come from", () => {
  it.each<[string, () => browser.WasmSource]>([
    ["bytes", () => bytes],
    ["an ArrayBuffer", () => new Uint8Array(bytes).buffer],
    ["a module", () => new WebAssembly.Module(bytes)],
    ["a URL", () => new URL("/kernels.wasm", origin)],
    ["the text of a URL", () => `${origin}/kernels.wasm`],
    ["a promised response", () => fetch(`${origin}/kernels.wasm`)],
  ])("may be %s", async (_, source) => {
    const { info, types } = await browser.loadKernels({ wasm: source() });
    expect(info).toEqual({
      backend: "wasm",
      isa: "simd128",
      reason: "wasm kernels are the fastest ones here",
    });
    expect(types).toContain("Q4_K");
  });

  it("is told when the server has none", async () => {
    await expect(browser.loadKernels({ wasm: `${origin}/lost.wasm` })).rejects.toThrow(
      `no kernels are available: wasm kernels: the server answered 404 for ${origin}/lost.wasm`,
    );
  });

  it("is told when it is something else", async () => {
    const wasm = new TextEncoder().encode("<!doctype html>");
    await expect(loadKernels({ backend: "wasm", wasm })).rejects.toThrow(
      /^wasm kernels, which loadKernels asks for, are not available: wasm kernels: WebAssembly.*magic/,
    );
  });
});

describe("the browser's loadKernels", () => {
  it("has no native kernels", async () => {
    await expect(browser.loadKernels({ backend: "native", wasm: bytes })).rejects.toThrow(
      "native kernels, which loadKernels asks for, are not available: there are wasm kernels here",
    );
    expect(await browser.kernelInfo({ wasm: bytes })).toEqual([{ backend: "wasm", isas: ["simd128"] }]);
  });

  it("gives the same bytes as the native ones", async () => {
    const { weights, importance, rows, columns } = gaussianWeights(8, 1024, 30);
    const kernels = [await browser.loadKernels({ wasm: bytes }), await loadKernels()];
    const quantized = kernels.map(({ quantize }) => {
      const target = new Uint8Array(rows * rowSize("Q5_K", columns));
      quantize({
        type: "Q5_K",
        sourceType: "F32",
        source: bytesOf(weights),
        target,
        rows,
        columns,
        importance,
      });
      return target;
    });
    expect(quantized[0]).toEqual(quantized[1]);
  });
});

it("says when a row does not fit into the memory of Wasm", async () => {
  const { quantize } = await loadKernels({ backend: "wasm" });
  const columns = 2 ** 31 - 2 ** 8;
  const [source, target] = [arrayThatClaims(columns), arrayThatClaims(columns * 2)];
  expect(() => quantize({ type: "F16", sourceType: "F8_E5M2", source, target, rows: 1, columns })).toThrow(
    expect.objectContaining({ code: "KERNEL_MEMORY" }),
  );
});

/** Stands for an array that is too long to be allocated in a test. */
function arrayThatClaims(length: number): Uint8Array {
  return Object.defineProperty(new Uint8Array(0), "length", { value: length });
}
