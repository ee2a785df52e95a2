import type { TokenWindow } from "./window.ts";

/**
 * A hash of a sequence of windows and of the rules that they were made by, for provenance. SHA-256 of the hash before and the next
 * piece, beginning with the rules; a window is its source, the number of its sequences, where each starts, and its tokens, as 32-bit
 * little-endian words.
 */
export class ContentHash {
  #state: Promise<ArrayBuffer>;

  /** @param rules Anything that JSON can write. */
  constructor(rules: unknown) {
    this.#state = sha256(new TextEncoder().encode(JSON.stringify(rules)));
  }

  async add({ tokens, source, sequences }: TokenWindow): Promise<void> {
    const before = new Uint8Array(await this.#state);
    const words = [source, sequences.length, ...sequences.map(({ start }) => start)];
    const bytes = new Uint8Array(before.length + 4 * (words.length + tokens.length));
    bytes.set(before);
    const view = new DataView(bytes.buffer);
    let offset = before.length;
    for (const part of [words, tokens]) {
      for (const word of part) {
        view.setInt32(offset, word, true);
        offset += 4;
      }
    }
    this.#state = sha256(bytes);
  }

  /** Of what has been added so far: 64 hexadecimal digits. */
  async hex(): Promise<string> {
    const bytes = new Uint8Array(await this.#state);
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }
}

function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<ArrayBuffer> {
  return crypto.subtle.digest("SHA-256", bytes);
}
