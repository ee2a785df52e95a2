import { QuernError } from "@quern/tensor";

/** Nesting that serde_json, the parser of the reference implementation, accepts (`remaining_depth: 128`). */
const MAX_DEPTH = 128;

const WHITESPACE = /[ \t\n\r]*/y;
/** A string without control characters, escapes and inner quotes. */
const PLAIN_STRING = /"[ !#-[\]-\uffff]*"/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const LITERAL = /true|false|null/y;
const LONE_SURROGATE = /\p{Surrogate}/u;

/**
 * Strict JSON pull parser that stands at a position in a text.
 *
 * `JSON.parse` will not do for files of unknown origin: it silently keeps the last of duplicate keys, says nothing of where
 * it stood, and builds every value of a hostile document. Here the caller asks for what its format expects, and the rest is
 * checked and skipped without being built.
 */
export class JsonCursor {
  readonly #text: string;
  readonly #file: string;
  readonly #code: string;
  readonly #textOffset: number;
  #position = 0;
  #depth = 0;

  /**
   * @param params.code Error code for anything that is not JSON or not of the kind asked for.
   * @param params.textOffset Byte offset of the text in the file, for messages.
   */
  constructor(params: { text: string; file: string; code: string; textOffset: number }) {
    this.#text = params.text;
    this.#file = params.file;
    this.#code = params.code;
    this.#textOffset = params.textOffset;
  }

  /** Calls `onMember` at the value of every member; it must consume that value. Duplicate keys are refused. */
  object(what: string, onMember: (key: string) => void): void {
    const keys = new Set<string>();
    this.#members(what, () => {
      this.#skipWhitespace();
      const at = this.#position;
      const key = this.string(`a key of ${what}`);
      if (keys.has(key)) {
        const code = "SAFETENSORS_DUPLICATE_KEY";
        throw this.error(`duplicate key ${JSON.stringify(key)} in ${what}`, { at, code, key });
      }
      keys.add(key);
      this.#colon();
      onMember(key);
    });
  }

  /** Calls `onElement` at every element of an array; it must consume that element. */
  array(what: string, onElement: () => void): void {
    this.#enter("[", what);
    if (!this.#take("]")) {
      do onElement();
      while (this.#take(","));
      if (!this.#take("]")) throw this.#expected('"," or "]"');
    }
    this.#depth--;
  }

  string(what: string): string {
    this.#skipWhitespace();
    const plain = this.#match(PLAIN_STRING);
    if (plain !== undefined) return plain.slice(1, -1);
    const start = this.#position;
    if (this.#text[start] !== '"') throw this.#expected(what);
    const end = this.#closingQuote(start);
    if (end === -1) throw this.error("string without an end");
    this.#position = end + 1;
    return this.#unquote(start);
  }

  /** A non-negative integer written with digits only, at most 2^53 - 1. */
  count(what: string): number {
    this.#skipWhitespace();
    const start = this.#position;
    const token = this.#match(NUMBER);
    if (token === undefined) throw this.#expected(what);
    const value = Number(token);
    if (!/^[0-9]+$/.test(token) || !Number.isSafeInteger(value)) {
      throw this.error(`found ${token.slice(0, 40)}, expected ${what}`, { at: start });
    }
    return value;
  }

  /** Whether the next value is `null`, which is consumed if so. */
  takeNull(): boolean {
    this.#skipWhitespace();
    return this.#take("null");
  }

  /**
   * Checks and skips any value, and returns its text. Nothing is built, and duplicate keys within it are not looked for: whoever
   * skips a value does not mind what it says.
   */
  skipValue(): string {
    this.#skipWhitespace();
    const start = this.#position;
    const first = this.#text[start];
    if (first === "{") this.#members("an object", () => this.#skipKey());
    else if (first === "[") this.array("an array", () => void this.skipValue());
    else if (first === '"') this.string("a string");
    else if ((this.#match(NUMBER) ?? this.#match(LITERAL)) === undefined)
      throw this.#expected("a JSON value");
    return this.#text.slice(start, this.#position);
  }

  /** Throws unless only whitespace is left. */
  end(): void {
    this.#skipWhitespace();
    if (this.#position !== this.#text.length) throw this.#expected("nothing more");
  }

  /**
   * An error at the position.
   *
   * @param options.at Position in the text to blame instead.
   * @param options.code Error code instead of the general one.
   */
  error(problem: string, options: { at?: number; code?: string; key?: string } = {}): QuernError {
    const before = this.#text.slice(0, options.at ?? this.#position);
    const offset = this.#textOffset + new TextEncoder().encode(before).byteLength;
    return new QuernError(options.code ?? this.#code, `${this.#file}: offset ${offset}: ${problem}`, {
      subject: { file: this.#file, offset, ...(options.key === undefined ? {} : { key: options.key }) },
    });
  }

  /** Calls `onMember` at every key of an object; it must consume the key, the colon and the value. */
  #members(what: string, onMember: () => void): void {
    this.#enter("{", what);
    if (!this.#take("}")) {
      do onMember();
      while (this.#take(","));
      if (!this.#take("}")) throw this.#expected('"," or "}"');
    }
    this.#depth--;
  }

  #skipKey(): void {
    this.string("a key");
    this.#colon();
    this.skipValue();
  }

  #colon(): void {
    if (!this.#take(":")) throw this.#expected('":"');
  }

  #enter(bracket: string, what: string): void {
    this.#skipWhitespace();
    if (!this.#take(bracket)) throw this.#expected(what);
    if (++this.#depth > MAX_DEPTH) throw this.error(`nested more than ${MAX_DEPTH} deep`);
  }

  #take(token: string): boolean {
    this.#skipWhitespace();
    if (!this.#text.startsWith(token, this.#position)) return false;
    this.#position += token.length;
    return true;
  }

  #skipWhitespace(): void {
    const code = this.#text.charCodeAt(this.#position);
    if (code > 0x20) return;
    WHITESPACE.lastIndex = this.#position;
    WHITESPACE.test(this.#text);
    this.#position = WHITESPACE.lastIndex;
  }

  #closingQuote(start: number): number {
    for (let quote = start; ;) {
      quote = this.#text.indexOf('"', quote + 1);
      let backslashes = 0;
      while (this.#text[quote - 1 - backslashes] === "\\") backslashes++;
      if (quote === -1 || backslashes % 2 === 0) return quote;
    }
  }

  /** The string from the quote at `start` to the position. */
  #unquote(start: number): string {
    let value: string;
    try {
      value = JSON.parse(this.#text.slice(start, this.#position)) as string;
    } catch {
      throw this.error("control character or bad escape in a string", { at: start });
    }
    // A lone surrogate can be escaped but not written in UTF-8; serde_json refuses it too.
    if (LONE_SURROGATE.test(value)) throw this.error("lone surrogate in a string", { at: start });
    return value;
  }

  #match(pattern: RegExp): string | undefined {
    const start = this.#position;
    pattern.lastIndex = start;
    if (!pattern.test(this.#text)) return undefined;
    this.#position = pattern.lastIndex;
    return this.#text.slice(start, this.#position);
  }

  #expected(what: string): QuernError {
    const rest = this.#text.slice(this.#position, this.#position + 16);
    return this.error(`found ${rest === "" ? "the end" : JSON.stringify(rest)}, expected ${what}`);
  }
}
