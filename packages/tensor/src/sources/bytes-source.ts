import type { ByteSource } from "../byte-source.ts";
import { checkRange, targetFor } from "./read-range.ts";

/** A source over bytes in memory. Reads without a buffer of the caller's are views of `bytes`, not copies. */
export function bytesSource(params: { bytes: Uint8Array | ArrayBuffer; name?: string }): ByteSource {
  const bytes = params.bytes instanceof Uint8Array ? params.bytes : new Uint8Array(params.bytes);
  const source: ByteSource = {
    name: params.name ?? "bytes in memory",
    size: bytes.byteLength,
    async read(offset, length, into) {
      checkRange(source, offset, length);
      const view = bytes.subarray(offset, offset + length);
      if (into === undefined) return view;
      const target = targetFor(source.name, length, into);
      target.set(view);
      return target;
    },
    async close() {},
  };
  return source;
}
