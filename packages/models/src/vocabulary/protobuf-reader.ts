import { QuernError } from "@quern/tensor";

/** Wire types of the protocol buffer encoding (protobuf.dev/programming-guides/encoding). */
export const WIRE_TYPE = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

export interface ProtobufField {
  readonly number: number;
  readonly wireType: number;
}

/**
 * Walks the fields of one protocol buffer message. After {@link nextField}, exactly one of the `read...` methods or
 * {@link skip} must be called.
 *
 * Every read checks the bounds of the message and throws QuernError `PROTOBUF_MALFORMED` with the byte offset.
 */
export class ProtobufReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #file: string;
  /** Where the message starts in the file, so that errors in nested messages name the offset in the file. */
  readonly #base: number;
  #position = 0;

  constructor(params: { bytes: Uint8Array; file: string; base?: number }) {
    this.#bytes = params.bytes;
    this.#view = new DataView(params.bytes.buffer, params.bytes.byteOffset, params.bytes.byteLength);
    this.#file = params.file;
    this.#base = params.base ?? 0;
  }

  /** @returns undefined at the end of the message */
  nextField(): ProtobufField | undefined {
    if (this.#position === this.#bytes.byteLength) return undefined;
    const key = this.readVarint();
    const number = Math.floor(key / 8);
    if (number === 0 || number > 0x1fffffff) throw this.#malformed(`field number ${number} is not allowed`);
    return { number, wireType: key % 8 };
  }

  /** Exact up to 2^53, which all field keys, lengths and enumerators of the known messages are. */
  readVarint(): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < 10; count++) {
      const byte = this.#bytes[this.#position];
      if (byte === undefined) throw this.#malformed("the file ends within a number");
      this.#position += 1;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
    throw this.#malformed("a number has more than ten bytes");
  }

  readFloat(): number {
    const start = this.#take(4);
    return this.#view.getFloat32(start, true);
  }

  /** A view, not a copy. */
  readBytes(): Uint8Array {
    const length = this.readVarint();
    const start = this.#take(length);
    return this.#bytes.subarray(start, start + length);
  }

  readMessage(): ProtobufReader {
    const bytes = this.readBytes();
    const base = this.#base + this.#position - bytes.byteLength;
    return new ProtobufReader({ bytes, file: this.#file, base });
  }

  skip(field: ProtobufField): void {
    if (field.wireType === WIRE_TYPE.varint) this.readVarint();
    else if (field.wireType === WIRE_TYPE.fixed64) this.#take(8);
    else if (field.wireType === WIRE_TYPE.bytes) this.readBytes();
    else if (field.wireType === WIRE_TYPE.fixed32) this.#take(4);
    else throw this.#malformed(`wire type ${field.wireType} of field ${field.number} is unknown`);
  }

  #take(length: number): number {
    const start = this.#position;
    const left = this.#bytes.byteLength - start;
    if (length > left) throw this.#malformed(`${length} bytes are announced but ${left} are left`);
    this.#position = start + length;
    return start;
  }

  #malformed(reason: string): QuernError {
    const offset = this.#base + this.#position;
    return new QuernError(
      "PROTOBUF_MALFORMED",
      `${this.#file} is not a valid protocol buffer: ${reason} (offset ${offset}).`,
      { subject: { file: this.#file, offset } },
    );
  }
}
