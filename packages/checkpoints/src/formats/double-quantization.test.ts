import { expect, it } from "vitest";
import { DYNAMIC_VALUES } from "@quern/quantize";
import { dequantizeScales, NESTED_BLOCK, quantizeScales } from "./double-quantization.ts";
import { decodeQuantState, encodeQuantState } from "./quant-state.ts";

/** Numbers that float32 holds exactly, whatever order they are added in. */
const scales = Float32Array.from({ length: 600 }, (_, index) => (((index * 7919) % 1000) + 1) / 4096);

/** What bitsandbytes 0.50.2 gives for them (`quantize_blockwise(scales - scales.mean(), blocksize=256)`, on the CPU). */
it("quantizes scales as bitsandbytes does", () => {
  const { indices, scales: nested, offset } = quantizeScales(scales);
  expect(offset).toBe(0.1224365234375);
  expect([...nested]).toEqual([0.1221923828125, 0.1217041015625, 0.1199951171875]);
  expect([...indices.subarray(0, 24)]).toEqual([
    0, 243, 231, 220, 208, 197, 165, 61, 50, 38, 26, 15, 3, 247, 235, 224, 212, 201, 184, 71, 53, 42, 30, 19,
  ]);
  expect([...indices.subarray(-8)]).toEqual([5, 251, 239, 227, 216, 204, 192, 85]);
  expect(indices.reduce((sum, code, index) => sum + (index + 1) * code, 0)).toBe(23002139);
  const back = dequantizeScales({
    indices,
    scales: nested,
    offset,
    map: DYNAMIC_VALUES,
    blockSize: NESTED_BLOCK,
  });
  // 0x1.21398p-10, 0x1.cc87a8p-3, 0x1.a24cd8p-3
  expect([...back.subarray(0, 3)]).toEqual([0x121398 * 2 ** -30, 0x1cc87a8 * 2 ** -27, 0x1a24cd8 * 2 ** -27]);
});

it("keeps blocks of scales that are all the same", () => {
  const same = new Float32Array(300).fill(0.25);
  const quantized = quantizeScales(same);
  expect(dequantizeScales({ ...quantized, map: DYNAMIC_VALUES, blockSize: NESTED_BLOCK })).toEqual(same);
});

it("says in one length what a weight is", () => {
  const state = { quantType: "nf4", blockSize: 64, dtype: "bfloat16", shape: [3, 64] };
  const nested = (offset: number): Uint8Array =>
    encodeQuantState({ ...state, nested: { blockSize: 256, offset } });
  for (const offset of [0, 1, Math.fround(0.1), -Math.fround(1e-38), 2 ** -149, 3.4028234663852886e38]) {
    expect(nested(offset)).toHaveLength(nested(0).length);
    expect(decodeQuantState(nested(offset))).toEqual({ ...state, nested: { blockSize: 256, offset } });
  }
  expect(decodeQuantState(encodeQuantState(state))).toEqual(state);
});

it.each([
  "",
  "null",
  "[]",
  '{"quant_type":"nf4","blocksize":64,"dtype":"bfloat16"}',
  '{"quant_type":"nf4","blocksize":0,"dtype":"bfloat16","shape":[1,64]}',
  '{"quant_type":"nf4","blocksize":64,"dtype":"bfloat16","shape":[1e99,64]}',
  '{"quant_type":"nf4","blocksize":64,"dtype":"bfloat16","shape":[1,64],"nested_blocksize":256}',
])("refuses the state %j", (text) => {
  expect(() => decodeQuantState(new TextEncoder().encode(text))).toThrow(
    expect.objectContaining({ code: "FORMAT_PARTS_INVALID" }),
  );
});
