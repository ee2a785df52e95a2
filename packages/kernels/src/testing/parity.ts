/** How many blocks differ and where the first one does, or nothing. */
export function differingBlocks(
  expected: Uint8Array,
  actual: Uint8Array,
  blockBytes: number,
): string | undefined {
  if (Buffer.compare(expected, actual) === 0) return undefined;
  let blocks = 0;
  let first: number | undefined;
  for (let start = 0; start < expected.length; start += blockBytes) {
    const end = start + blockBytes;
    if (Buffer.compare(expected.subarray(start, end), actual.subarray(start, end)) === 0) continue;
    blocks++;
    first ??= start / blockBytes;
  }
  const hex = (bytes: Uint8Array): string =>
    Buffer.from(bytes.subarray(first! * blockBytes, (first! + 1) * blockBytes)).toString("hex");
  return `${blocks} of ${expected.length / blockBytes} blocks, first ${first}: ${hex(expected)}, not ${hex(actual)}`;
}

/** The same for float32 values, of which NaN equals NaN whatever its bits: those differ among processors. */
export function differingFloats(expected: Float32Array, actual: Float32Array): string | undefined {
  const expectedBits = new Uint32Array(expected.buffer, expected.byteOffset, expected.length);
  const actualBits = new Uint32Array(actual.buffer, actual.byteOffset, actual.length);
  let count = 0;
  let first: number | undefined;
  for (let i = 0; i < expected.length; i++) {
    if (expectedBits[i] === actualBits[i] || (Number.isNaN(expected[i]) && Number.isNaN(actual[i]))) continue;
    count++;
    first ??= i;
  }
  if (first === undefined) return undefined;
  return `${count} of ${expected.length} values, first ${first}: ${expected[first]}, not ${actual[first]}`;
}
