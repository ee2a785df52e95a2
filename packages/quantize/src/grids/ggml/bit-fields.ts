/** Bits of the elements of an array, as they lie in the bytes of a block. */
export interface BitField {
  /** Elements from `from` to before `to`. @default all */
  readonly from?: number;
  readonly to?: number;
  readonly bits: number;
  /** The lowest of these bits in the element. @default 0 */
  readonly place?: number;
  /** Byte of an element, and the lowest of its bits in the byte. */
  readonly byte: (element: number) => number;
  readonly shift: (element: number) => number;
}

/** Reads and writes an array of small unsigned numbers that is spread over a block. */
export interface BitArray {
  readonly length: number;
  read(block: Uint8Array, at: number, into: Float32Array | Uint8Array, start: number): void;
  /** Adds to the block, whose bytes are 0 where these bits are. */
  write(block: Uint8Array, at: number, from: Float32Array | Uint8Array, start: number): void;
}

/** An array of `length` numbers whose bits are in `fields`. */
export function bitArray(length: number, fields: readonly BitField[]): BitArray {
  const pieces = fields.flatMap(({ from = 0, to = length, bits, place = 0, byte, shift }) =>
    Array.from({ length: to - from }, (_, i) => {
      const element = from + i;
      return { element, byte: byte(element), shift: shift(element), mask: 2 ** bits - 1, place };
    }),
  );
  const elements = Int32Array.from(pieces, ({ element }) => element);
  const bytes = Int32Array.from(pieces, ({ byte }) => byte);
  const shifts = Uint8Array.from(pieces, ({ shift }) => shift);
  const masks = Uint8Array.from(pieces, ({ mask }) => mask);
  const places = Uint8Array.from(pieces, ({ place }) => place);
  const count = pieces.length;
  return {
    length,
    read(block, at, into, start) {
      into.fill(0, start, start + length);
      for (let i = 0; i < count; i++) {
        into[start + elements[i]!]! |= ((block[at + bytes[i]!]! >> shifts[i]!) & masks[i]!) << places[i]!;
      }
    },
    write(block, at, from, start) {
      for (let i = 0; i < count; i++) {
        block[at + bytes[i]!]! |= ((from[start + elements[i]!]! >> places[i]!) & masks[i]!) << shifts[i]!;
      }
    },
  };
}
