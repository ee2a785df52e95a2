import type { GgufScalarValue } from "../value.ts";

/** A string of a file that is not UTF-8: its text has replacement characters, its bytes are written again as they are. */
export class EncodedString implements GgufScalarValue {
  readonly type = "string";
  readonly value: string;
  readonly #bytes: Uint8Array;

  constructor(params: { value: string; bytes: Uint8Array }) {
    this.value = params.value;
    this.#bytes = params.bytes;
  }

  /** The length of 8 bytes, then the string. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }
}
