import { type ByteSource, QuernError } from "@quern/tensor";
import { checkLayout } from "./check-layout.ts";
import { LENGTH_BYTES, MAX_HEADER_BYTES, type SafetensorsMetadata } from "../format.ts";
import { parseHeader } from "./header.ts";
import { openTensor, type SafetensorsTensor } from "./tensor.ts";

/** An open file: everything about its tensors but the data. */
export interface SafetensorsFile {
  /** File name or URL. */
  readonly name: string;
  readonly metadata: SafetensorsMetadata;
  /** Tensors by name, in the order of their data. */
  readonly tensors: ReadonlyMap<string, SafetensorsTensor>;
  /** Closes the source. */
  close(): Promise<void>;
}

/**
 * Reads and checks the header of a safetensors file; the data stays where it is until a tensor is read.
 *
 * @param source The file; closed by {@link SafetensorsFile.close}, not when this function throws.
 * @throws QuernError `SAFETENSORS_TRUNCATED`, `SAFETENSORS_HEADER_TOO_LARGE`, `SAFETENSORS_HEADER_BEYOND_FILE`, and what the
 * header and the layout of its tensors can be blamed for (the table in README.md).
 */
export async function readSafetensors(source: ByteSource): Promise<SafetensorsFile> {
  const headerSize = await readHeaderSize(source);
  const dataOffset = LENGTH_BYTES + headerSize;
  const bytes = await source.read(LENGTH_BYTES, headerSize);
  const { metadata, entries } = parseHeader({ bytes, file: source.name });
  const ordered = checkLayout({ entries, file: source.name, dataOffset, fileSize: source.size });
  const tensors = new Map<string, SafetensorsTensor>();
  for (const { name, type, shape, begin, end } of ordered) {
    const info = { name, type, shape };
    tensors.set(name, openTensor({ source, info, offset: dataOffset + begin, size: end - begin }));
  }
  return { name: source.name, metadata, tensors, close: () => source.close() };
}

async function readHeaderSize(source: ByteSource): Promise<number> {
  const { name: file, size } = source;
  if (size < LENGTH_BYTES) {
    throw new QuernError(
      "SAFETENSORS_TRUNCATED",
      `${file}: ${size} bytes are too few: a safetensors file begins with a length of ${LENGTH_BYTES} bytes`,
      { subject: { file, offset: size } },
    );
  }
  const bytes = await source.read(0, LENGTH_BYTES);
  const length = new DataView(bytes.buffer, bytes.byteOffset, LENGTH_BYTES).getBigUint64(0, true);
  const hint = otherFormat(bytes);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    throw new QuernError(
      "SAFETENSORS_HEADER_TOO_LARGE",
      `${file}: the header length ${length} is beyond the limit of ${MAX_HEADER_BYTES} bytes${hint}`,
      { subject: { file, offset: 0 } },
    );
  }
  if (LENGTH_BYTES + Number(length) > size) {
    throw new QuernError(
      "SAFETENSORS_HEADER_BEYOND_FILE",
      `${file}: a header of ${length} bytes does not fit in a file of ${size} bytes${hint}`,
      { subject: { file, offset: 0 } },
    );
  }
  return Number(length);
}

const OTHER_FORMATS: readonly (readonly [prefix: string, hint: string])[] = [
  ["version ", " (it looks like a Git LFS pointer: fetch the file itself)"],
  ["GGUF", " (it looks like a GGUF file)"],
  ["PK\u0003\u0004", " (it looks like a zip archive, such as a PyTorch checkpoint)"],
  ["<", " (it looks like a web page)"],
];

function otherFormat(bytes: Uint8Array): string {
  const text = String.fromCharCode(...bytes);
  return OTHER_FORMATS.find(([prefix]) => text.startsWith(prefix))?.[1] ?? "";
}
