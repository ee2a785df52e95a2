import type { GgufArrayValue, GgufScalar, GgufValueType } from "../value.ts";
import type { ByteCursor } from "./byte-cursor.ts";
import type { ByteWriter } from "./byte-writer.ts";

/** A metadata value: what an array can hold. */
export type GgufElement = GgufScalar | GgufArrayValue;

/** How values of one metadata type stand in a file. */
export interface ValueCodec {
  /** Number in files (gguf.h, `enum gguf_type`). */
  readonly id: number;
  readonly name: GgufValueType;
  /** Fewest bytes that a value can take. */
  readonly minSize: number;
  /** Whether every value takes `minSize` bytes. */
  readonly fixedSize: boolean;
  /** What a value must be, for messages. */
  readonly expected: string;
  accepts(value: GgufElement): boolean;
  /**
   * Moves past `count` values, checking every length in them.
   *
   * @param depth How many arrays the values are nested in.
   */
  skip(cursor: ByteCursor, count: number, depth: number): void;
  decode(cursor: ByteCursor): GgufElement;
  /** Writes a value that the codec accepts. */
  encode(writer: ByteWriter, value: GgufElement): void;
}
