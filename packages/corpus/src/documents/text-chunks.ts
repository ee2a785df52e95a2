import type { ByteSource } from "@quern/tensor";
import { QuernError } from "@quern/tensor";

/** Bytes that are read at once. */
export const READ_SIZE: number = 1 << 20;

/**
 * The text of a UTF-8 file, piece by piece; a byte order mark at the beginning is left out.
 *
 * @throws QuernError `CORPUS_NOT_UTF8` with the offset of the chunk (bytes), `SOURCE_*`
 */
export async function* textChunks(
  source: ByteSource,
  readSize: number = READ_SIZE,
): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  for (let offset = 0; offset < source.size; offset += readSize) {
    const bytes = await source.read(offset, Math.min(readSize, source.size - offset));
    const text = decode(() => decoder.decode(bytes, { stream: true }), { source, offset });
    if (text !== "") yield text;
  }
  const rest = decode(() => decoder.decode(), { source, offset: source.size });
  if (rest !== "") yield rest;
}

function decode(run: () => string, place: { source: ByteSource; offset: number }): string {
  try {
    return run();
  } catch (cause) {
    const { source, offset } = place;
    throw new QuernError(
      "CORPUS_NOT_UTF8",
      `${source.name} is not UTF-8 text (at or soon after byte ${offset}). Convert it, for instance with iconv.`,
      { subject: { file: source.name, offset }, cause },
    );
  }
}
