import { byteSize, QuernError, type TensorInfo } from "@quern/tensor";
import { compareCodePoints } from "./code-point-order.ts";
import { layoutRank } from "../dtype.ts";
import { LENGTH_BYTES, MAX_HEADER_BYTES, METADATA_KEY, type SafetensorsMetadata } from "../format.ts";

/** A tensor that has its place in a file. */
export interface SafetensorsPlacedTensor {
  readonly info: TensorInfo;
  /** First byte of the data, counted from the start of the file. */
  readonly offset: number;
  /** Size of the data in bytes. */
  readonly size: number;
}

/** A file whose every byte position is known before any data is written. */
export interface SafetensorsLayout {
  /** Everything before the data: the length, the JSON and its padding. */
  readonly header: Uint8Array;
  /** Tensors by name, in the order of their data. */
  readonly tensors: ReadonlyMap<string, SafetensorsPlacedTensor>;
  readonly fileSize: number;
}

/** The header is padded with spaces so that the data begins at a multiple of this. */
const DATA_ALIGNMENT = 8;

const LONE_SURROGATE = /\p{Surrogate}/u;

/**
 * Lays out a file as the reference implementation does (`prepare` in safetensors/src/tensor.rs), to the byte but for the order
 * of the metadata, which is that of the object given: tensors by descending alignment of their type, then by name.
 *
 * @param params.metadata Free text about the file; no `__metadata__` is written unless given.
 * @throws QuernError `SAFETENSORS_DUPLICATE_TENSOR`; `SAFETENSORS_BAD_NAME` for a tensor called `__metadata__` and for names
 * and metadata that UTF-8 cannot hold; `SAFETENSORS_BAD_METADATA` for a value that is no string;
 * `SAFETENSORS_HEADER_TOO_LARGE`; `SAFETENSORS_FILE_TOO_LARGE`; `TENSOR_*` as `byteSize`.
 */
export function planSafetensors(params: {
  tensors: Iterable<TensorInfo>;
  metadata?: SafetensorsMetadata;
}): SafetensorsLayout {
  const infos = [...params.tensors].sort(
    (a, b) => layoutRank(b.type) - layoutRank(a.type) || compareCodePoints(a.name, b.name),
  );
  const members: string[] = [];
  if (params.metadata !== undefined) members.push(metadataMember(params.metadata));
  const ends = new Map<string, number>();
  let end = 0;
  for (const info of infos) {
    checkName(info, ends);
    const begin = end;
    end += byteSize(info, { tensor: info.name });
    ends.set(info.name, end);
    members.push(
      `${JSON.stringify(info.name)}:{"dtype":"${info.type}","shape":[${info.shape.join(",")}],"data_offsets":[${begin},${end}]}`,
    );
  }
  const header = encodeHeader(`{${members.join(",")}}`);
  const tensors = new Map<string, SafetensorsPlacedTensor>();
  let offset = header.byteLength;
  for (const info of infos) {
    const size = header.byteLength + ends.get(info.name)! - offset;
    tensors.set(info.name, { info, offset, size });
    offset += size;
  }
  if (offset > Number.MAX_SAFE_INTEGER) {
    throw new QuernError("SAFETENSORS_FILE_TOO_LARGE", "the tensors together take more than 2^53 - 1 bytes");
  }
  return { header, tensors, fileSize: offset };
}

function checkName(info: TensorInfo, taken: ReadonlyMap<string, number>): void {
  const { name } = info;
  const subject = { tensor: name };
  if (taken.has(name)) {
    throw new QuernError("SAFETENSORS_DUPLICATE_TENSOR", `two tensors are called ${JSON.stringify(name)}`, {
      subject,
    });
  }
  if (name === METADATA_KEY || LONE_SURROGATE.test(name)) {
    throw new QuernError("SAFETENSORS_BAD_NAME", `${JSON.stringify(name)} cannot be the name of a tensor`, {
      subject,
    });
  }
}

function metadataMember(metadata: SafetensorsMetadata): string {
  const members = Object.entries(metadata).map(([key, value]) => {
    if (typeof value !== "string") {
      throw new QuernError(
        "SAFETENSORS_BAD_METADATA",
        `metadata ${JSON.stringify(key)} is of type ${typeof value}: expected a string`,
        { subject: { key } },
      );
    }
    if (LONE_SURROGATE.test(key) || LONE_SURROGATE.test(value)) {
      throw new QuernError(
        "SAFETENSORS_BAD_NAME",
        `metadata ${JSON.stringify(key)} holds half of a surrogate pair, which UTF-8 cannot hold`,
        { subject: { key } },
      );
    }
    return `${JSON.stringify(key)}:${JSON.stringify(value)}`;
  });
  return `${JSON.stringify(METADATA_KEY)}:{${members.join(",")}}`;
}

function encodeHeader(json: string): Uint8Array {
  const text = new TextEncoder().encode(json);
  const length = Math.ceil(text.byteLength / DATA_ALIGNMENT) * DATA_ALIGNMENT;
  if (length > MAX_HEADER_BYTES) {
    throw new QuernError(
      "SAFETENSORS_HEADER_TOO_LARGE",
      `the header takes ${length} bytes: readers accept at most ${MAX_HEADER_BYTES}`,
    );
  }
  const header = new Uint8Array(LENGTH_BYTES + length).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true);
  header.set(text, LENGTH_BYTES);
  return header;
}
