import { invalidParts } from "./invalid.ts";

/** `quant_state` of a weight, which bitsandbytes stores as text in a tensor (functional.py, `QuantState.as_dict`). */
export interface QuantState {
  readonly quantType: string;
  readonly blockSize: number;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly nested?: { readonly blockSize: number; readonly offset: number };
}

/** Characters that the text of a float32 may have. */
const NUMBER_LENGTH = 24;

/** Bytes of a state; of one length whatever the offset is, so that files can be laid out before it is known. */
export function encodeQuantState({ quantType, blockSize, dtype, shape, nested }: QuantState): Uint8Array {
  const text = JSON.stringify({
    quant_type: quantType,
    blocksize: blockSize,
    dtype,
    shape,
    ...(nested === undefined
      ? {}
      : { nested_blocksize: nested.blockSize, nested_dtype: "float32", nested_offset: nested.offset }),
  });
  const padding = nested === undefined ? 0 : NUMBER_LENGTH - JSON.stringify(nested.offset).length;
  return new TextEncoder().encode(text + " ".repeat(padding));
}

/** @throws QuernError `FORMAT_PARTS_INVALID` */
export function decodeQuantState(bytes: Uint8Array): QuantState {
  let json: Record<string, unknown>;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) as Record<string, unknown>;
  } catch (cause) {
    throw invalidParts(`quant_state is not JSON: ${(cause as Error).message}`);
  }
  const whole = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) > 0;
  const { quant_type: quantType, blocksize, dtype, shape } = json ?? {};
  const { nested_blocksize: nestedBlock, nested_offset: offset } = json ?? {};
  const shapeFits = Array.isArray(shape) && shape.length === 2 && shape.every(whole);
  if (typeof quantType !== "string" || !whole(blocksize) || typeof dtype !== "string" || !shapeFits) {
    throw invalidParts(
      `quant_state is ${JSON.stringify(json).slice(0, 200)}: expected quant_type, blocksize, dtype, shape`,
    );
  }
  if (nestedBlock === undefined) return { quantType, blockSize: blocksize, dtype, shape };
  if (!whole(nestedBlock) || typeof offset !== "number") {
    throw invalidParts("quant_state has nested_blocksize: expected a whole number and a nested_offset");
  }
  return { quantType, blockSize: blocksize, dtype, shape, nested: { blockSize: nestedBlock, offset } };
}
