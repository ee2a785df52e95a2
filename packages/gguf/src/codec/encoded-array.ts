import { QuernError } from "@quern/tensor";
import type { GgufArrayValue, GgufValueType } from "../value.ts";
import { ByteCursor } from "./byte-cursor.ts";
import type { GgufElement, ValueCodec } from "./codec.ts";

/** An array as it stands in a file; elements are decoded when they are asked for. */
export class EncodedArray implements GgufArrayValue {
  readonly type = "array";
  readonly elements: GgufValueType;
  readonly length: number;
  /** The elements, without the type and length in front of them; their lengths have been checked. */
  readonly bytes: Uint8Array;
  readonly #codec: ValueCodec;
  readonly #fileName: string;
  /** Where each element starts; made at the first random access to elements of varying size. */
  #starts: Float64Array | undefined;

  constructor(params: { codec: ValueCodec; length: number; bytes: Uint8Array; fileName: string }) {
    this.elements = params.codec.name;
    this.length = params.length;
    this.bytes = params.bytes;
    this.#codec = params.codec;
    this.#fileName = params.fileName;
  }

  at(index: number): GgufElement {
    if (!Number.isInteger(index) || index < 0 || index >= this.length) {
      throw new QuernError(
        "GGUF_INDEX_OUT_OF_RANGE",
        `${this.#fileName}: element ${index} of an array of ${this.length} elements`,
        { subject: { file: this.#fileName, offset: index } },
      );
    }
    const cursor = this.#cursor();
    cursor.position = this.#codec.fixedSize ? index * this.#codec.minSize : this.#startOf(index);
    return this.#codec.decode(cursor);
  }

  *[Symbol.iterator](): Iterator<GgufElement> {
    const cursor = this.#cursor();
    for (let index = 0; index < this.length; index++) yield this.#codec.decode(cursor);
  }

  #cursor(): ByteCursor {
    return new ByteCursor({ bytes: this.bytes, fileName: this.#fileName });
  }

  #startOf(index: number): number {
    if (this.#starts === undefined) {
      const cursor = this.#cursor();
      this.#starts = new Float64Array(this.length);
      for (let element = 0; element < this.length; element++) {
        this.#starts[element] = cursor.position;
        this.#codec.skip(cursor, 1, 0);
      }
    }
    return this.#starts[index] ?? 0;
  }
}
