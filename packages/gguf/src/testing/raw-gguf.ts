/** Builds GGUF bytes field by field, without any check, to make files that no writer makes. */
export class RawGguf {
  readonly #parts: number[] = [];

  bytes(...bytes: number[]): this {
    this.#parts.push(...bytes);
    return this;
  }

  text(text: string): this {
    return this.bytes(...new TextEncoder().encode(text));
  }

  uint32(value: number): this {
    return this.#integer(BigInt(value), 4);
  }

  uint64(value: number | bigint): this {
    return this.#integer(BigInt.asUintN(64, BigInt(value)), 8);
  }

  string(text: string): this {
    return this.uint64(new TextEncoder().encode(text).length).text(text);
  }

  /** Magic, version and counts. */
  head(params: { version?: number; tensors?: number | bigint; pairs?: number | bigint } = {}): this {
    return this.text("GGUF")
      .uint32(params.version ?? 3)
      .uint64(params.tensors ?? 0)
      .uint64(params.pairs ?? 0);
  }

  tensor(params: {
    name?: string;
    ne?: readonly (number | bigint)[];
    dimensions?: number;
    type?: number;
    offset?: number | bigint;
  }): this {
    const ne = params.ne ?? [8];
    this.string(params.name ?? "t").uint32(params.dimensions ?? ne.length);
    for (const dimension of ne) this.uint64(dimension);
    return this.uint32(params.type ?? 0).uint64(params.offset ?? 0);
  }

  /** Zero bytes up to a multiple of 32, then `count` more. */
  data(count: number): this {
    while (this.#parts.length % 32 !== 0) this.#parts.push(0);
    for (let index = 0; index < count; index++) this.#parts.push(0);
    return this;
  }

  build(): Uint8Array {
    return Uint8Array.from(this.#parts);
  }

  #integer(value: bigint, size: number): this {
    for (let byte = 0n; byte < size; byte++) this.#parts.push(Number((value >> (byte * 8n)) & 0xffn));
    return this;
  }
}
