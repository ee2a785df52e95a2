import { QuernError } from "@quern/tensor";
import type { GgufVocabulary } from "./gguf-vocabulary.ts";

/** Marks a space (U+2581). */
const SPACE = "\u2581";

/**
 * SentencePiece BPE as llama.cpp does it (src/llama-vocab.cpp `llm_tokenizer_spm_session`): of all neighbours whose concatenation
 * is a token, the one with the highest score is joined, the leftmost of equals; characters that end up as no token become bytes.
 *
 * @returns A function that appends the tokens of a text to `output`. Spaces become U+2581; none is added.
 */
export function sentencePieceBpe(vocabulary: GgufVocabulary): (text: string, output: number[]) => void {
  const { scores } = vocabulary;
  const ids = new Map(vocabulary.tokens.map((text, id) => [text, id]));
  const byteIds = byteTokens(ids);
  const encoder = new TextEncoder();

  const append = (symbol: string, output: number[]): void => {
    const id = ids.get(symbol);
    if (id !== undefined) output.push(id);
    else
      for (const byte of encoder.encode(symbol)) output.push(byteIds[byte] ?? missingByte(vocabulary, byte));
  };

  return (plain, output) => {
    const text = plain.replaceAll(" ", SPACE);
    const symbols = splitCharacters(text);
    const { starts, lengths, previous, next } = symbols;
    const queue = new PairQueue();
    const offer = (left: number, right: number): void => {
      if (left < 0 || right < 0) return;
      const length = lengths[left]! + lengths[right]!;
      const id = ids.get(text.slice(starts[left], starts[left]! + length));
      if (id !== undefined) queue.push({ left, right, length, score: scores[id]! });
    };

    for (let right = 1; right < symbols.count; right++) offer(right - 1, right);
    for (let pair = queue.pop(); pair !== undefined; pair = queue.pop()) {
      const { left, right } = pair;
      const joined = lengths[left]! + lengths[right]!;
      // One of the two has been joined with something else since.
      if (lengths[left] === 0 || lengths[right] === 0 || joined !== pair.length) continue;
      lengths[left] = joined;
      lengths[right] = 0;
      next[left] = next[right]!;
      if (next[right]! >= 0) previous[next[right]!] = left;
      offer(previous[left]!, left);
      offer(left, next[left]);
    }
    for (let index = symbols.count > 0 ? 0 : -1; index >= 0; index = next[index]!) {
      append(text.slice(starts[index], starts[index]! + lengths[index]!), output);
    }
  };
}

/** The characters of a text as a linked list: UTF-16 offsets and lengths, neighbours, -1 at the ends. */
interface Symbols {
  readonly count: number;
  readonly starts: Int32Array;
  readonly lengths: Int32Array;
  readonly previous: Int32Array;
  readonly next: Int32Array;
}

function splitCharacters(text: string): Symbols {
  const starts = new Int32Array(text.length);
  const lengths = new Int32Array(text.length);
  let count = 0;
  for (let position = 0; position < text.length; count++) {
    const length = text.codePointAt(position)! > 0xffff ? 2 : 1;
    starts[count] = position;
    lengths[count] = length;
    position += length;
  }
  const previous = Int32Array.from({ length: count }, (_, index) => index - 1);
  const next = Int32Array.from({ length: count }, (_, index) => (index + 1 < count ? index + 1 : -1));
  return { count, starts, lengths, previous, next };
}

interface Pair {
  readonly left: number;
  readonly right: number;
  /** UTF-16 units of both. */
  readonly length: number;
  readonly score: number;
}

/** A binary heap: highest score first, leftmost of equals. */
class PairQueue {
  readonly #heap: Pair[] = [];

  push(pair: Pair): void {
    const heap = this.#heap;
    let index = heap.push(pair) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!precedes(pair, heap[parent]!)) break;
      heap[index] = heap[parent]!;
      index = parent;
    }
    heap[index] = pair;
  }

  pop(): Pair | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return first;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && precedes(heap[child + 1]!, heap[child]!)) child += 1;
      if (!precedes(heap[child]!, last)) break;
      heap[index] = heap[child]!;
      index = child;
    }
    heap[index] = last;
    return first;
  }
}

function precedes(a: Pair, b: Pair): boolean {
  return a.score > b.score || (a.score === b.score && a.left < b.left);
}

/** By byte: "<0x0A>", or where that is missing the character itself. */
function byteTokens(ids: ReadonlyMap<string, number>): (number | undefined)[] {
  return Array.from({ length: 256 }, (_, byte) => {
    const name = `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
    return ids.get(name) ?? (byte < 0x80 ? ids.get(String.fromCharCode(byte)) : undefined);
  });
}

function missingByte({ name }: GgufVocabulary, byte: number): never {
  throw new QuernError(
    "TOKENIZER_INCOMPLETE",
    `${name}: the vocabulary has no token for the byte 0x${byte.toString(16).padStart(2, "0")}.`,
    { subject: { file: name } },
  );
}
