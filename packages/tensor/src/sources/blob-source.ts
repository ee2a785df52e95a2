import type { ByteSource } from "../byte-source.ts";
import { QuernError } from "../error.ts";
import { readRange } from "./read-range.ts";

/** A source over a Blob, such as the File of a browser's file picker. Only the ranges asked for are read. */
export function blobSource(params: { blob: Blob; name?: string }): ByteSource {
  const { blob } = params;
  const name = params.name ?? ("name" in blob && typeof blob.name === "string" ? blob.name : "blob");
  const source: ByteSource = {
    name,
    size: blob.size,
    read: (offset, length, into) =>
      readRange({
        source,
        offset,
        length,
        into,
        async readChunk(at, target) {
          let part: ArrayBuffer;
          try {
            part = await blob.slice(at, at + target.byteLength).arrayBuffer();
          } catch (cause) {
            throw new QuernError("SOURCE_READ_FAILED", `${name}: reading at offset ${at} failed`, {
              subject: { file: name, offset: at },
              cause,
            });
          }
          target.set(new Uint8Array(part));
          return part.byteLength;
        },
      }),
    async close() {},
  };
  return source;
}
