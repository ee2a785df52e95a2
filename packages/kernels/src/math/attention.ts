import { argumentError } from "../arguments.ts";
import { checkCounts, checkNumber, matrix, optionalRow } from "./call.ts";
import type { MathArray, MathBackend } from "./call.ts";

/**
 * Attention of queries to keys of one sequence. Query t is at position `firstPosition + t`, key j at position j; a query sees the keys from
 * `before` positions before it to `after` positions after it. One that sees none gets zeros. Keys must be finite even where no query
 * sees them.
 *
 * Query head h shares the keys of head floor(h / (heads / kvHeads)). Strides are in elements from token to token, so that heads can be
 * divided among calls. Memory that is needed: scores of about 200 queries, counted over the heads that share keys.
 */
export interface AttentionParams {
  /** tokens x heads x headSize */
  readonly q: Float32Array;
  readonly qStride?: number | undefined;
  /** keys x kvHeads x headSize */
  readonly k: Float32Array;
  readonly kStride?: number | undefined;
  /** keys x kvHeads x valueSize */
  readonly v: Float32Array;
  readonly vStride?: number | undefined;
  /** tokens x heads x valueSize */
  readonly y: Float32Array;
  readonly yStride?: number | undefined;
  readonly tokens: number;
  readonly keys: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headSize: number;
  /** @default headSize */
  readonly valueSize?: number | undefined;
  /** Score = scale * q k. */
  readonly scale: number;
  /** @default 0 */
  readonly firstPosition?: number | undefined;
  /** A sliding window of w keys, the query's own included, has w - 1. @default Infinity */
  readonly before?: number | undefined;
  /** 0 for causal attention, Infinity for all keys. @default 0 */
  readonly after?: number | undefined;
  /** Scores become softCap * tanh(score / softCap). @default none */
  readonly softCap?: number | undefined;
  /** One further logit per head, of a key without a value. */
  readonly sinks?: Float32Array | undefined;
}

export function attention(backend: MathBackend, params: AttentionParams): void {
  const { tokens, keys, heads, kvHeads, headSize, valueSize = headSize, scale, softCap, sinks } = params;
  const { firstPosition = 0, before = Infinity, after = 0 } = params;
  checkCounts({ tokens, keys, heads, kvHeads, headSize, valueSize, firstPosition });
  if (kvHeads === 0 || heads % kvHeads !== 0) {
    throw argumentError(`${heads} heads cannot share ${kvHeads} heads of keys`);
  }
  checkNumber("scale", scale);
  if (softCap !== undefined && !(softCap > 0 && softCap < Infinity)) {
    throw argumentError(`softCap must be positive, not ${softCap}`);
  }
  const { qStride = heads * headSize, kStride = kvHeads * headSize } = params;
  const { vStride = kvHeads * valueSize, yStride = heads * valueSize } = params;
  const rows = (
    name: string,
    data: Float32Array,
    access: MathArray["access"],
    count: number,
    columns: number,
    stride: number,
  ): MathArray => matrix({ name, kind: "F32", data, access, rows: count, columns, stride });
  backend.run({
    operation: "attention",
    numbers: [
      tokens,
      keys,
      heads,
      kvHeads,
      headSize,
      valueSize,
      qStride,
      kStride,
      vStride,
      yStride,
      scale,
      firstPosition,
      distance("before", before, firstPosition + tokens),
      distance("after", after, keys),
      softCap ?? 0,
    ],
    arrays: [
      rows("q", params.q, "read", tokens, heads * headSize, qStride),
      rows("k", params.k, "read", keys, kvHeads * headSize, kStride),
      rows("v", params.v, "read", keys, kvHeads * valueSize, vStride),
      rows("y", params.y, "write", tokens, heads * valueSize, yStride),
      optionalRow("sinks", sinks, heads),
    ],
  });
}

/** At most `limit`, which is as good as infinity. */
function distance(name: string, value: number, limit: number): number {
  if (value !== Infinity && !(Number.isInteger(value) && value >= 0)) {
    throw argumentError(`${name} must be an integer from 0 on or Infinity, not ${value}`);
  }
  return Math.min(value, limit);
}
