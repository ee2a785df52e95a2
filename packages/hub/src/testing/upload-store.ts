import { createHash, randomBytes } from "node:crypto";
import { createWriteStream } from "node:fs";
import { copyFile, mkdtemp, rename, rm } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { type Content, fileContent } from "./stored-repository.ts";

/** An upload in parts that has been begun. */
interface OpenUpload {
  readonly oid: string;
  readonly size: number;
  readonly parts: Map<number, { readonly path: string; readonly etag: string }>;
}

/** Large files that were uploaded to the host of files, whether a commit names them or not. They lie in a folder of their own. */
export class UploadStore {
  /** By SHA-256. */
  readonly objects: Map<string, Content> = new Map();
  readonly uploads: Map<string, OpenUpload> = new Map();
  /** Tokens that may write; all others may read. */
  readonly writers: Set<string> = new Set();
  /** Names of files that are large ones whatever their size. */
  largeNames: RegExp = /\.(gguf|safetensors|bin)$/;
  /** Objects larger than this travel in parts of this many bytes. */
  partSize: number = 5 * 10 ** 9;
  /** Bytes of bodies that came in whole. */
  received = 0;
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async create(): Promise<UploadStore> {
    return new UploadStore(await mkdtemp(join(tmpdir(), "quern-uploads-")));
  }

  async remove(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** @returns id of the upload */
  begin(oid: string, size: number): string {
    const id = randomBytes(8).toString("hex");
    this.uploads.set(id, { oid, size, parts: new Map() });
    return id;
  }

  /** Takes the body of a request: under its own hash if that is `oid`, else not at all. */
  async put(oid: string, request: IncomingMessage): Promise<boolean> {
    const { path, hash } = await this.#take(request);
    return this.#keep(oid, path, hash);
  }

  /** @returns ETag of the part */
  async putPart(id: string, number: number, request: IncomingMessage): Promise<string> {
    const { path, hash } = await this.#take(request);
    const etag = `"${hash.slice(0, 32)}"`;
    this.uploads.get(id)!.parts.set(number, { path, etag });
    return etag;
  }

  /** Joins the parts, which must be those that were put, in order. */
  async complete(
    id: string,
    parts: readonly { readonly partNumber: number; readonly etag: string }[],
  ): Promise<boolean> {
    const { oid, parts: known } = this.uploads.get(id)!;
    const isSound = parts.every(
      ({ partNumber, etag }, index) => partNumber === index + 1 && known.get(partNumber)?.etag === etag,
    );
    if (!isSound || parts.length !== known.size) return false;
    const path = this.#fresh();
    await copyFile(known.get(1)!.path, path);
    const hash = createHash("sha256");
    const first = fileContent(path);
    hash.update(first.read(0, first.size));
    for (let number = 2; number <= known.size; number++) {
      const part = fileContent(known.get(number)!.path);
      const bytes = part.read(0, part.size);
      hash.update(bytes);
      await pipeline([bytes], createWriteStream(path, { flags: "a" }));
    }
    for (const part of known.values()) await rm(part.path);
    this.uploads.delete(id);
    return this.#keep(oid, path, hash.digest("hex"));
  }

  async #keep(oid: string, path: string, hash: string): Promise<boolean> {
    if (hash !== oid) {
      await rm(path);
      return false;
    }
    const kept = join(this.#folder, oid);
    await rename(path, kept);
    this.objects.set(oid, fileContent(kept));
    return true;
  }

  async #take(request: IncomingMessage): Promise<{ path: string; hash: string }> {
    const path = this.#fresh();
    const hash = createHash("sha256");
    let size = 0;
    await pipeline(
      request,
      async function* (chunks: AsyncIterable<Uint8Array>) {
        for await (const chunk of chunks) {
          hash.update(chunk);
          size += chunk.byteLength;
          yield chunk;
        }
      },
      createWriteStream(path),
    );
    this.received += size;
    return { path, hash: hash.digest("hex") };
  }

  #fresh(): string {
    return join(this.#folder, `${randomBytes(8).toString("hex")}.body`);
  }
}
