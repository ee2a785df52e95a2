import type { TensorExpression } from "../expression.ts";
import type { Operation } from "../operation.ts";
import { describeType, invalid } from "../row-shape.ts";

interface PackMxfp4 extends TensorExpression {
  /** Codes and scales. */
  readonly inputs: readonly [TensorExpression, TensorExpression];
}

/** Bytes of the codes of one block of 32 elements, and of a block in ggml, which begins with its scale. */
const CODE_BYTES = 16;
const BLOCK_BYTES = CODE_BYTES + 1;

/**
 * MXFP4 weights as blocks of ggml's `block_mxfp4`, without loss: bits only move. The result is U8, a row of bytes for each
 * row of elements.
 *
 * @param codes U8 [..., blocks * 16]: byte `i` of a block holds element 2i in its low and 2i + 1 in its high nibble.
 * @param scales U8 [..., blocks]: an E8M0 exponent per block.
 *
 * In ggml byte `j` of a block holds element `j` in its low and `j + 16` in its high nibble (ggml-common.h, `block_mxfp4`;
 * ggml-quants.c, `dequantize_row_mxfp4`).
 */
export function packMxfp4(codes: TensorExpression, scales: TensorExpression): TensorExpression {
  return { operation: "pack-mxfp4", inputs: [codes, scales] };
}

export const packMxfp4Operation: Operation<PackMxfp4> = {
  name: "pack-mxfp4",
  type({ inputs }, { typeOf }) {
    const [codes, scales] = inputs.map(typeOf) as [ReturnType<typeof typeOf>, ReturnType<typeof typeOf>];
    const blocks = scales.shape.at(-1) ?? 0;
    const expected = [...scales.shape.slice(0, -1), blocks * CODE_BYTES];
    if (scales.type !== "U8" || describeType(codes) !== describeType({ type: "U8", shape: expected })) {
      throw invalid(
        `MXFP4 codes ${describeType(codes)} and scales ${describeType(scales)} do not fit together`,
      );
    }
    return { type: "U8", shape: [...scales.shape.slice(0, -1), blocks * BLOCK_BYTES] };
  },
  async rows({ inputs: [codes, scales] }, { start, count }, { rowsOf }) {
    const [codeBytes, scaleBytes] = await Promise.all([
      rowsOf(codes, start, count),
      rowsOf(scales, start, count),
    ]);
    const packed = new Uint8Array(scaleBytes.byteLength * BLOCK_BYTES);
    for (let block = 0; block < scaleBytes.byteLength; block++) {
      const from = block * CODE_BYTES;
      const to = block * BLOCK_BYTES;
      packed[to] = scaleBytes[block]!;
      for (let pair = 0; pair < CODE_BYTES / 2; pair++) {
        const lower = codeBytes[from + pair]!;
        const upper = codeBytes[from + CODE_BYTES / 2 + pair]!;
        packed[to + 1 + 2 * pair] = (lower & 0x0f) | ((upper & 0x0f) << 4);
        packed[to + 2 + 2 * pair] = (lower >> 4) | (upper & 0xf0);
      }
    }
    return packed;
  },
};
