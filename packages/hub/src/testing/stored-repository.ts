import { createHash } from "node:crypto";
import { closeSync, openSync, readSync, statSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";

/** Bytes that are served, wherever they are kept. */
export interface Content {
  readonly size: number;
  /** Bytes from `first` up to `end`, which is not among them. */
  read(first: number, end: number): Buffer;
  /** Hands the same bytes on in pieces, one after another: what `take` gets is used again once it has resolved. */
  stream(first: number, end: number, take: (piece: Buffer) => Promise<void>): Promise<void>;
}

/** A file in one version. */
export interface StoredFile {
  readonly content: Content;
  /** SHA-256 of a large file, else the hash of the git object. */
  readonly etag: string;
  /** Whether it is stored as a large file. */
  readonly lfs: boolean;
}

/** A commit and all files of its tree, by path. */
export interface StoredCommit {
  readonly id: string;
  readonly title: string;
  readonly files: ReadonlyMap<string, StoredFile>;
}

/** Files of at least this size, and all weights, are stored as large files, as the Hub does with those of its .gitattributes. */
const LARGE = 1024 * 1024;

/** Parts of a file that are hashed at a time. */
const PART = 16 * 2 ** 20;

/** Bytes of a file that are handed on at a time: few enough to be in the processor's cache still when they are sent. */
const PIECE = 256 * 2 ** 10;

/** Memory for pieces that no request uses now. */
const pieces: Buffer[] = [];

/** A repository of models: commits, and the branches and tags that name them. */
export class StoredRepository {
  readonly id: string;
  isPrivate = false;
  gated = false;
  /** Ids of commits by full name of branch, or by name of tag. */
  readonly refs: Map<string, string> = new Map();
  readonly commits: Map<string, StoredCommit> = new Map();
  /** Those that were opened, oldest first. */
  readonly pullRequests: { readonly num: number; readonly title: string }[] = [];

  constructor(id: string) {
    this.id = id;
  }

  /** Newest commit of the main branch. */
  get head(): StoredCommit {
    return this.commits.get(this.refs.get("main")!)!;
  }

  /** Makes a commit of these files, and of no other, and moves the branch to it. */
  commit(params: { files: ReadonlyMap<string, StoredFile>; title?: string; branch?: string }): StoredCommit {
    const { files, title = "Add files", branch = "main" } = params;
    const tree = [...files].map(([path, { etag }]) => [path, etag]);
    const id = createHash("sha1")
      .update(JSON.stringify([this.refs.get(branch), title, tree]))
      .digest("hex");
    const commit = { id, title, files: new Map(files) };
    this.commits.set(id, commit);
    this.refs.set(branch, id);
    return commit;
  }

  /** What a branch, a tag or a commit means. */
  find(revision: string): StoredCommit | undefined {
    const name = revision === "HEAD" ? "main" : revision;
    return this.commits.get(this.refs.get(name) ?? name);
  }

  /** As if another commit had been forced into the place of the newest one: a file has another version, of the same size. */
  changeFile(path: string): void {
    this.#replace(path, (file) => ({ ...file, etag: sha256(Buffer.from("changed")) }));
  }

  /** Serves other bytes than the hash says. */
  damageFile(path: string): void {
    this.#replace(path, (file) => {
      const bytes = Buffer.from(file.content.read(0, file.content.size));
      bytes[0]! ^= 1;
      return { ...file, content: memoryContent(bytes) };
    });
  }

  #replace(path: string, change: (file: StoredFile) => StoredFile): void {
    const { head } = this;
    const files = new Map(head.files);
    files.set(path, change(files.get(path)!));
    this.commits.set(head.id, { ...head, files });
  }
}

export function memoryContent(bytes: Buffer): Content {
  return {
    size: bytes.length,
    read: (first, end) => bytes.subarray(first, end),
    stream: (first, end, take) => take(bytes.subarray(first, end)),
  };
}

/** Content of a file of this machine, of any size; it is read when it is asked for. */
export function fileContent(path: string): Content {
  return {
    size: statSync(path).size,
    read(first, end) {
      const target = Buffer.allocUnsafe(end - first);
      const file = openSync(path, "r");
      try {
        readSync(file, target, 0, target.length, first);
      } finally {
        closeSync(file);
      }
      return target;
    },
    async stream(first, end, take) {
      const buffer = pieces.pop() ?? Buffer.allocUnsafeSlow(PIECE);
      const file = openSync(path, "r");
      try {
        for (let at = first; at < end; at += PIECE) {
          const count = readSync(file, buffer, 0, Math.min(PIECE, end - at), at);
          await take(buffer.subarray(0, count));
        }
      } finally {
        closeSync(file);
        pieces.push(buffer);
      }
    },
  };
}

/** @param lfs Default: as the Hub decides. */
export function storedFile(
  path: string,
  content: Content,
  lfs: boolean = content.size >= LARGE || path.endsWith(".safetensors"),
): StoredFile {
  return { content, lfs, etag: lfs ? hashOf("sha256", "", content) : gitHash(content) };
}

/** Files of a folder, by their paths in it. */
export async function filesOfFolder(folder: string): Promise<Map<string, StoredFile>> {
  const files = new Map<string, StoredFile>();
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const name = path.slice(folder.length).replaceAll("\\", "/").replace(/^\/+/, "");
    files.set(name, storedFile(name, fileContent(path)));
  }
  return files;
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Name of the git object. */
export function gitHash(content: Content): string {
  return hashOf("sha1", `blob ${content.size}\0`, content);
}

function hashOf(algorithm: string, header: string, content: Content): string {
  const hash = createHash(algorithm).update(header);
  for (let at = 0; at < content.size; at += PART) {
    hash.update(content.read(at, Math.min(content.size, at + PART)));
  }
  return hash.digest("hex");
}
