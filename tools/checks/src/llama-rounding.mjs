// What llama.cpp rounds on the way that we do not, put into our forward pass, to see that it explains where the two differ.

/** Each changes kernels or the graph of a block; the name is what the check prints. */
export const LLAMA_ROUNDINGS = [
  { name: "GELU by a table of F16", kernels: withGeluTable },
  { name: "Q8_0 activations before MXFP4", kernels: withRoundedActivations },
  { name: "no sliding window", architectures: ["phi3"], editBlock: withoutWindow },
];

/** Kernels with all of llama.cpp's roundings; `used` tells whether any has taken place. */
export function withLlamaRoundings(kernels) {
  let uses = 0;
  let changed = kernels;
  for (const { kernels: change } of LLAMA_ROUNDINGS) {
    if (change !== undefined) changed = change(changed, () => (uses += 1));
  }
  return { kernels: changed, used: () => uses > 0 };
}

/**
 * ggml looks GELU up in a table with a value for every F16, and has the tanh formula for the exact one as well: of arguments
 * between -10 and 10 (ggml-cpu/vec.h: `ggml_vec_gelu_f32`; ggml-cpu.c fills the table).
 */
function withGeluTable(kernels, onUse) {
  let table;
  return withMath(kernels, {
    activate(params) {
      if (params.kind !== "gelu" && params.kind !== "gelu-tanh") {
        kernels.math.activate(params);
        return;
      }
      onUse?.();
      table ??= geluTable(kernels);
      const { x, y, up, count = x.length } = params;
      const halves = new Uint16Array(count);
      const inRange = Float32Array.from(x.subarray(0, count), (value) => Math.max(-10, Math.min(10, value)));
      convert(kernels, { from: inRange, fromType: "F32", to: halves, toType: "F16" });
      for (let index = 0; index < count; index++) {
        const value = x[index] <= -10 ? 0 : x[index] >= 10 ? x[index] : table[halves[index]];
        y[index] = up === undefined ? value : value * up[index];
      }
    },
  });
}

/** By the bits of an F16; what is beyond the range is not used. */
function geluTable(kernels) {
  const table = new Float32Array(1 << 16);
  const bits = Uint16Array.from(table, (_, index) => index);
  convert(kernels, { from: bits, fromType: "F16", to: table, toType: "F32" });
  for (const [index, x] of table.entries()) {
    const finite = Math.abs(x) <= 10 ? x : 0;
    table[index] =
      0.5 * finite * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * finite * (1 + 0.044715 * finite * finite)));
  }
  convert(kernels, { from: table, fromType: "F32", to: bits, toType: "F16" });
  convert(kernels, { from: bits, fromType: "F16", to: table, toType: "F32" });
  return table;
}

/** ggml multiplies MXFP4 weights by activations in Q8_0 (ggml-cpu.c: `type_traits_cpu`, `vec_dot_type`). */
function withRoundedActivations(kernels, onUse) {
  return withMath(kernels, {
    gemm(params) {
      if (params.bType !== "MXFP4") return kernels.math.gemm(params);
      onUse?.();
      const { m, k, a } = params;
      const blocks = new Uint8Array((m * k * 34) / 32);
      const rounded = new Float32Array(m * k);
      kernels.quantize({
        type: "Q8_0",
        sourceType: "F32",
        source: bytesOf(a.subarray(0, m * k)),
        target: blocks,
        rows: m,
        columns: k,
      });
      kernels.dequantize({ type: "Q8_0", source: blocks, target: rounded, rows: m, columns: k });
      return kernels.math.gemm({ ...params, a: rounded });
    },
  });
}

/** llama.cpp leaves out the sliding window of Phi-3 (src/models/phi3.cpp). */
function withoutWindow(graph) {
  const { window: _, ...attention } = graph.attention;
  return { ...graph, attention };
}

function withMath(kernels, math) {
  return { ...kernels, math: { ...kernels.math, ...math } };
}

/** Rounds between F32 and F16. */
function convert(kernels, { from, fromType, to, toType }) {
  const shape = { rows: 1, columns: from.length };
  if (toType === "F32") kernels.dequantize({ type: fromType, source: bytesOf(from), target: to, ...shape });
  else
    kernels.quantize({
      type: toType,
      sourceType: fromType,
      source: bytesOf(from),
      target: bytesOf(to),
      ...shape,
    });
}

function bytesOf(array) {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
