import { argumentError } from "../arguments.ts";
import { checkCounts, matrix } from "./call.ts";
import type { MathBackend } from "./call.ts";

export interface RopeParams {
  /** tokens x heads x headSize */
  readonly x: Float32Array;
  /** Elements from token to token. @default heads * headSize */
  readonly stride?: number | undefined;
  readonly tokens: number;
  readonly heads: number;
  readonly headSize: number;
  /** The first elements of each head that turn: an even number. @default headSize */
  readonly rotated?: number | undefined;
  /** tokens x rotated / 2: of the angle of each pair. All ways to scale positions and frequencies end here. */
  readonly cos: Float32Array;
  readonly sin: Float32Array;
  /**
   * Which elements are pairs: `interleaved` 2i and 2i + 1 (the paper; `LLAMA_ROPE_TYPE_NORM` of llama.cpp), `halves` i and
   * i + rotated / 2 (Transformers; `LLAMA_ROPE_TYPE_NEOX`).
   */
  readonly layout: "interleaved" | "halves";
}

export function rope(backend: MathBackend, params: RopeParams): void {
  const { x, tokens, heads, headSize, rotated = headSize, cos, sin, layout } = params;
  const { stride = heads * headSize } = params;
  checkCounts({ tokens, heads, headSize, rotated });
  if (rotated % 2 !== 0 || rotated > headSize) {
    throw argumentError(`rotated must be even and at most ${headSize}, not ${rotated}`);
  }
  if (layout !== "interleaved" && layout !== "halves") {
    throw argumentError(`layout must be interleaved or halves, not ${JSON.stringify(layout)}`);
  }
  const table = { kind: "F32", access: "read", rows: tokens, columns: rotated / 2 } as const;
  backend.run({
    operation: "rope",
    numbers: [tokens, heads, headSize, rotated, stride, Number(layout === "halves")],
    arrays: [
      matrix({
        name: "x",
        kind: "F32",
        data: x,
        access: "update",
        rows: tokens,
        columns: heads * headSize,
        stride,
      }),
      matrix({ ...table, name: "cos", data: cos }),
      matrix({ ...table, name: "sin", data: sin }),
    ],
  });
}
