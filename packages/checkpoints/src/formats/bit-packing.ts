/** How rows of codes become bytes: a stream with the lowest bits first, each row beginning at a byte. */
export interface BitRows {
  readonly rows: number;
  readonly columns: number;
  /** Of a code, from 1 to 8. */
  readonly bits: number;
  /** Of a packed row: the bits of its codes and padding of 0. */
  readonly rowBytes: number;
}

/** Bytes of rows of codes that end at a 32-bit word. */
export function wordRowBytes(columns: number, bits: number): number {
  return Math.ceil((columns * bits) / 32) * 4;
}

/** Packs rows of codes; code `i` of a row has the bits from `i * bits` on. */
export function packBits(codes: Uint8Array, { rows, columns, bits, rowBytes }: BitRows): Uint8Array {
  if (bits === 8 && rowBytes === columns) return codes.slice(0, rows * columns);
  const packed = new Uint8Array(rows * rowBytes);
  for (let row = 0; row < rows; row++) {
    const from = row * columns;
    const to = row * rowBytes;
    if (bits === 4) packNibbles({ codes, from, columns, packed, to });
    else packStream({ codes, from, columns, bits, packed, to });
  }
  return packed;
}

/** Undoes {@link packBits}; padding is not looked at. */
export function unpackBits(packed: Uint8Array, { rows, columns, bits, rowBytes }: BitRows): Uint8Array {
  if (bits === 8 && rowBytes === columns) return packed.slice(0, rows * columns);
  const codes = new Uint8Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    const from = row * rowBytes;
    const to = row * columns;
    if (bits === 4) unpackNibbles({ packed, from, columns, codes, to });
    else unpackStream({ packed, from, columns, bits, codes, to });
  }
  return codes;
}

interface Packing {
  readonly codes: Uint8Array;
  readonly from: number;
  readonly columns: number;
  readonly packed: Uint8Array;
  readonly to: number;
}

function packNibbles({ codes, from, columns, packed, to }: Packing): void {
  const pairs = columns >> 1;
  for (let pair = 0, code = from; pair < pairs; pair++, code += 2) {
    packed[to + pair] = codes[code]! | (codes[code + 1]! << 4);
  }
  if (columns % 2 === 1) packed[to + pairs] = codes[from + columns - 1]!;
}

function packStream(params: Packing & { bits: number }): void {
  const { codes, from, columns, packed, bits } = params;
  let { to } = params;
  let pending = 0;
  let filled = 0;
  for (let code = from; code < from + columns; code++) {
    pending |= codes[code]! << filled;
    filled += bits;
    if (filled >= 8) {
      packed[to++] = pending;
      pending >>>= 8;
      filled -= 8;
    }
  }
  if (filled > 0) packed[to] = pending;
}

function unpackNibbles({ packed, from, columns, codes, to }: Packing): void {
  const pairs = columns >> 1;
  for (let pair = 0, code = to; pair < pairs; pair++, code += 2) {
    const byte = packed[from + pair]!;
    codes[code] = byte & 15;
    codes[code + 1] = byte >> 4;
  }
  if (columns % 2 === 1) codes[to + columns - 1] = packed[from + pairs]! & 15;
}

function unpackStream(params: Packing & { bits: number }): void {
  const { packed, columns, codes, to, bits } = params;
  let { from } = params;
  const mask = 2 ** bits - 1;
  let pending = 0;
  let filled = 0;
  for (let code = to; code < to + columns; code++) {
    if (filled < bits) {
      pending |= packed[from++]! << filled;
      filled += 8;
    }
    codes[code] = pending & mask;
    pending >>>= bits;
    filled -= bits;
  }
}
