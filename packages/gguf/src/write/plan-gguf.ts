import { QuernError } from "@quern/tensor";
import { ALIGNMENT_KEY, alignmentOf, DEFAULT_ALIGNMENT, isAlignment } from "../alignment.ts";
import { alignUp } from "../align-up.ts";
import { ByteWriter } from "../codec/byte-writer.ts";
import { CODECS } from "../codec/codecs.ts";
import { EncodedString } from "../codec/encoded-string.ts";
import { STRING_CODEC, writeString } from "../codec/string-codec.ts";
import { ggmlType, tensorSize } from "../ggml-type.ts";
import type { GgufLayout, GgufPlacedTensor, GgufTensorSpec } from "../layout.ts";
import { MAX_DIMENSIONS, MAX_KEY_LENGTH, MAX_TENSOR_NAME_LENGTH } from "../limits.ts";
import type { GgufMetadata, GgufValue } from "../value.ts";
import { ggufUint32 } from "../values.ts";

const FORMAT_VERSION = 3;

/**
 * Lays out a GGUF file of version 3: its header and where the data of each tensor goes, before there is any data.
 *
 * Tensors follow one another in the order given, each padded to the alignment, the last one included.
 *
 * @param params.metadata Pairs in file order.
 * @param params.alignment Alignment of tensor data in bytes; when it is neither the default nor in the metadata, the key
 * `general.alignment` is added at the end. Default: what the metadata says, else 32.
 * @param params.asGgml Whether the header is to equal that of ggml's own writer (gguf.cpp), which leaves out dimensions of 1
 * at the end and pads the header even where no tensor follows; gguf-py does neither. Default false.
 * @throws QuernError `GGUF_KEY_INVALID`, `GGUF_VALUE_INVALID`, `GGUF_ALIGNMENT_INVALID`, `GGUF_TENSOR_NAME_INVALID`,
 * `GGUF_DUPLICATE_TENSOR`, `GGUF_TENSOR_SHAPE_INVALID`, `GGML_TYPE_UNKNOWN`, `GGUF_FILE_TOO_LARGE` (2^53 bytes or more)
 */
export function planGguf(params: {
  metadata: GgufMetadata;
  tensors: readonly GgufTensorSpec[];
  alignment?: number;
  asGgml?: boolean;
}): GgufLayout {
  const { asGgml = false } = params;
  const metadata = withAlignment(params.metadata, params.alignment);
  const alignment = alignmentOf(metadata, "the file to write");

  const writer = new ByteWriter();
  writer.bytes(new TextEncoder().encode("GGUF"));
  writer.uint32(FORMAT_VERSION);
  writer.uint64(params.tensors.length);
  writer.uint64(metadata.size);
  for (const [key, value] of metadata) writePair(writer, key, value);

  // Offsets in the table count from the start of the data, which is known when the table ends.
  const specs = asGgml ? params.tensors.map(withoutTrailingOnes) : params.tensors;
  const relative = placeTensors(specs, alignment);
  for (const tensor of relative) writeTensorEntry(writer, tensor);
  if (asGgml || relative.length > 0) writer.pad(alignment);

  const header = writer.finish();
  const tensors = relative.map((tensor) => ({ ...tensor, offset: header.byteLength + tensor.offset }));
  const last = tensors.at(-1);
  const fileSize = last === undefined ? header.byteLength : alignUp(last.offset + last.size, alignment);
  if (!Number.isSafeInteger(fileSize)) {
    throw new QuernError(
      "GGUF_FILE_TOO_LARGE",
      `the file would have ${fileSize} bytes: expected fewer than 2^53`,
    );
  }
  return { header, tensors, fileSize, alignment, metadata };
}

function withAlignment(metadata: GgufMetadata, alignment: number | undefined): GgufMetadata {
  if (alignment === undefined) return metadata;
  const stated = alignmentOf(metadata, "the file to write");
  if (!isAlignment(alignment) || (metadata.has(ALIGNMENT_KEY) && stated !== alignment)) {
    throw new QuernError(
      "GGUF_ALIGNMENT_INVALID",
      `alignment ${alignment}: expected a power of two${metadata.has(ALIGNMENT_KEY) ? `, and the ${stated} of metadata key "${ALIGNMENT_KEY}"` : ""}`,
      { subject: { key: ALIGNMENT_KEY } },
    );
  }
  if (stated === alignment || alignment === DEFAULT_ALIGNMENT) return metadata;
  return new Map(metadata).set(ALIGNMENT_KEY, ggufUint32(alignment));
}

function writePair(writer: ByteWriter, key: string, value: GgufValue): void {
  // Keys are ASCII (GGUF specification).
  if (key === "" || key.length > MAX_KEY_LENGTH || !/^[\x20-\x7e]*$/.test(key)) {
    throw new QuernError(
      "GGUF_KEY_INVALID",
      `metadata key ${JSON.stringify(key.slice(0, 100))}: expected 1 to ${MAX_KEY_LENGTH} printable ASCII characters`,
      { subject: { key } },
    );
  }
  const codec = CODECS.byName(value.type);
  const content = value.type === "array" ? value : value.value;
  if (codec === undefined || !codec.accepts(content)) {
    throw new QuernError(
      "GGUF_VALUE_INVALID",
      `metadata key "${key}": the value is not a ${value.type}: expected ${codec?.expected ?? "a metadata type"}`,
      { subject: { key } },
    );
  }
  writeString(writer, key);
  writer.uint32(codec.id);
  if (value instanceof EncodedString) writer.bytes(value.bytes);
  else codec.encode(writer, content);
}

function placeTensors(specs: readonly GgufTensorSpec[], alignment: number): GgufPlacedTensor[] {
  const names = new Set<string>();
  let end = 0;
  return specs.map(({ name, type, ne }) => {
    checkName(name);
    if (names.has(name)) {
      throw new QuernError("GGUF_DUPLICATE_TENSOR", `tensor "${name}" occurs twice`, {
        subject: { tensor: name },
      });
    }
    names.add(name);
    const offset = alignUp(end, alignment);
    const size = checkedSize({ name, type, ne });
    end = offset + size;
    return { name, type, ne, offset, size };
  });
}

/** The dimensions that `ggml_n_dims` counts (ggml.c): the first always, the others up to the last above 1. */
function withoutTrailingOnes({ name, type, ne }: GgufTensorSpec): GgufTensorSpec {
  const last = ne.findLastIndex((dimension) => dimension !== 1);
  return { name, type, ne: ne.slice(0, Math.max(1, last + 1)) };
}

function checkName(name: string): void {
  const length = new TextEncoder().encode(name).byteLength;
  // ggml keeps names as C strings, which end at the first zero.
  if (length > 0 && length <= MAX_TENSOR_NAME_LENGTH && STRING_CODEC.accepts(name) && !name.includes("\0"))
    return;
  throw new QuernError(
    "GGUF_TENSOR_NAME_INVALID",
    `tensor name ${JSON.stringify(name.slice(0, 200))} has ${length} bytes: expected 1 to ${MAX_TENSOR_NAME_LENGTH} bytes of UTF-8 without zeros`,
    { subject: { tensor: name } },
  );
}

function checkedSize({ name, type, ne }: GgufTensorSpec): number {
  if (ne.length < 1 || ne.length > MAX_DIMENSIONS) {
    throw new QuernError(
      "GGUF_TENSOR_SHAPE_INVALID",
      `tensor "${name}" has ${ne.length} dimensions: expected 1 to ${MAX_DIMENSIONS}`,
      { subject: { tensor: name } },
    );
  }
  const traits = ggmlType(type);
  try {
    return tensorSize(traits, ne);
  } catch (cause) {
    throw new QuernError(
      "GGUF_TENSOR_SHAPE_INVALID",
      `tensor "${name}": ${cause instanceof Error ? cause.message : "invalid shape"}`,
      { subject: { tensor: name }, cause },
    );
  }
}

function writeTensorEntry(writer: ByteWriter, { name, type, ne, offset }: GgufPlacedTensor): void {
  writeString(writer, name);
  writer.uint32(ne.length);
  for (const dimension of ne) writer.uint64(dimension);
  writer.uint32(ggmlType(type).id);
  writer.uint64(offset);
}
