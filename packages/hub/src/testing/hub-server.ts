import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";

/** A request as the servers saw it. */
export interface SeenRequest {
  readonly host: "hub" | "cdn";
  readonly path: string;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
  readonly ifRange: string | undefined;
}

/** A fault: handles the request itself and returns true, or lets it be answered. */
export type Fault = (exchange: Exchange) => boolean;

export interface Exchange {
  readonly seen: SeenRequest;
  readonly response: ServerResponse;
  /** The file, where one is asked for, and which bytes of it. */
  readonly file?: StoredFile;
  readonly first: number;
  readonly last: number;
}

interface StoredFile {
  readonly content: Buffer;
  /** SHA-256 of a large file, else the hash of the git object. */
  etag: string;
  readonly lfs: boolean;
}

/** Files of at least this size, and all weights, are stored as large files, as the Hub does with those of its .gitattributes. */
const LARGE = 1024 * 1024;
const PAGE = 3;

/**
 * A Hub on this machine: two real HTTP servers, the endpoint and a host of large files, with what the documentation of the Hub says of
 * model information, trees in pages, files, ranges, redirects with signatures that expire, and access.
 */
export class HubServer {
  readonly requests: SeenRequest[] = [];
  /** Asked in order for every request; the first that handles it ends it. */
  readonly faults: Fault[] = [];
  readonly commit: string = "c0ffee".padEnd(40, "0");
  readonly id: string;
  /** Tokens that may read; nobody needs one when it is empty. */
  readonly tokens: Set<string> = new Set();
  gated = false;
  /** Signatures of addresses at the other host that are good; a new one for every redirect. */
  readonly #signatures = new Set<string>();
  readonly #files = new Map<string, StoredFile>();
  readonly #hub: Server;
  readonly #cdn: Server;

  private constructor(id: string) {
    this.id = id;
    this.#hub = createServer((request, response) => this.#answerHub(request, response));
    this.#cdn = createServer((request, response) => this.#answerCdn(request, response));
  }

  /** @param params.folder Whose files the repository has. */
  static async start(params: { id: string; folder: string }): Promise<HubServer> {
    const server = new HubServer(params.id);
    for (const entry of await readdir(params.folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      const name = path.slice(params.folder.length).replaceAll("\\", "/").replace(/^\/+/, "");
      const content = await readFile(path);
      const lfs = content.length >= LARGE || name.endsWith(".safetensors");
      server.#files.set(name, { content, lfs, etag: lfs ? sha256(content) : gitHash(content) });
    }
    for (const one of [server.#hub, server.#cdn]) {
      await new Promise<void>((resolve) => one.listen(0, "127.0.0.1", resolve));
    }
    return server;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#hub.address() as AddressInfo).port}`;
  }

  /** Redirects that have been given lead nowhere any more. */
  expireRedirects(): void {
    this.#signatures.clear();
  }

  /** As if another commit had been forced into the place of this one. */
  changeFile(name: string): void {
    this.#files.get(name)!.etag = sha256(Buffer.from("changed"));
  }

  /** Serves other bytes than the hash says. */
  damageFile(name: string): void {
    this.#files.get(name)!.content[0]! ^= 1;
  }

  async stop(): Promise<void> {
    for (const server of [this.#hub, this.#cdn]) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  #answerHub(request: IncomingMessage, response: ServerResponse): void {
    const { pathname, searchParams } = new URL(request.url!, "http://hub");
    const seen = this.#see("hub", pathname, request);
    const [, revision, path] =
      new RegExp(`^/${this.id}/resolve/([^/]+)/(.+)$`).exec(decodeURIComponent(pathname)) ?? [];
    const file = path === undefined ? undefined : this.#files.get(path);
    const exchange = { seen, response, ...(file && { file }), ...rangeOf(request, file) };
    if (this.faults.some((fault) => fault(exchange))) return;
    const refused = this.#refusal(seen, path !== undefined);
    if (refused !== undefined) return refuse(response, ...refused);
    const api = `/api/models/${this.id}/`;
    if (pathname.startsWith(`${api}revision/`)) {
      const wanted = decodeURIComponent(pathname.slice(`${api}revision/`.length));
      if (!this.#isRevision(wanted)) return refuse(response, 404, "RevisionNotFound");
      return answerJson(response, this.#modelInfo());
    }
    if (pathname === `${api}tree/${this.commit}`) return this.#answerTree(response, searchParams);
    if (path === undefined) return refuse(response, 404, "RepoNotFound");
    if (!this.#isRevision(revision!)) return refuse(response, 404, "RevisionNotFound");
    if (file === undefined) return refuse(response, 404, "EntryNotFound");
    if (!file.lfs) return answerRange(exchange, `"${file.etag}"`);
    const signature = sha256(Buffer.from(`${this.#signatures.size} ${this.requests.length}`));
    this.#signatures.add(signature);
    const cdn = `http://127.0.0.1:${(this.#cdn.address() as AddressInfo).port}`;
    response.writeHead(302, {
      location: `${cdn}/${encodeURIComponent(path)}?X-Signature=${signature}`,
      "x-linked-etag": `"${file.etag}"`,
      "x-linked-size": file.content.length,
      "x-repo-commit": this.commit,
    });
    response.end();
  }

  #answerCdn(request: IncomingMessage, response: ServerResponse): void {
    const { pathname, searchParams } = new URL(request.url!, "http://cdn");
    const seen = this.#see("cdn", pathname, request);
    const file = this.#files.get(decodeURIComponent(pathname.slice(1)));
    const exchange = { seen, response, ...(file && { file }), ...rangeOf(request, file) };
    if (this.faults.some((fault) => fault(exchange))) return;
    // A host of files that gets two kinds of credentials refuses, as S3 does.
    if (seen.authorization !== undefined) return refuse(response, 400, "InvalidArgument");
    if (!this.#signatures.has(searchParams.get("X-Signature") ?? "")) {
      return refuse(response, 403, "AccessDenied");
    }
    if (file === undefined) return refuse(response, 404, "NoSuchKey");
    answerRange(exchange, `"at-cdn-${file.etag.slice(0, 8)}"`);
  }

  #see(host: SeenRequest["host"], path: string, { headers }: IncomingMessage): SeenRequest {
    const { range, authorization } = headers;
    const seen = { host, path, range, authorization, ifRange: headers["if-range"] as string | undefined };
    this.requests.push(seen);
    return seen;
  }

  #isRevision(name: string): boolean {
    return ["HEAD", "main", "v1", "refs/pr/1", this.commit].includes(name);
  }

  /** Metadata of gated repositories can be read by all, their files cannot. */
  #refusal({ authorization }: SeenRequest, isFile: boolean): readonly [number, string] | undefined {
    if (this.tokens.size === 0) return undefined;
    const token = authorization?.replace("Bearer ", "");
    if (token !== undefined && this.tokens.has(token)) return undefined;
    if (token !== undefined && token !== "hf_of_another_account") return [401, ""];
    if (!this.gated) return token === undefined ? [401, "RepoNotFound"] : [404, "RepoNotFound"];
    return isFile ? [token === undefined ? 401 : 403, "GatedRepo"] : undefined;
  }

  #modelInfo(): unknown {
    return {
      _id: "1",
      id: this.id,
      sha: this.commit,
      private: this.tokens.size > 0 && !this.gated,
      gated: this.gated ? "auto" : false,
      downloads: 0,
      likes: 0,
      lastModified: "2026-01-01T00:00:00.000Z",
    };
  }

  #answerTree(response: ServerResponse, parameters: URLSearchParams): void {
    const first = Number(parameters.get("cursor") ?? 0);
    const all = [...this.#files].map(([path, { content, etag, lfs }]) => ({
      type: "file",
      path,
      size: content.length,
      oid: lfs ? gitHash(Buffer.from(etag)) : etag,
      ...(lfs ? { lfs: { oid: etag, size: content.length, pointerSize: 134 } } : {}),
    }));
    const next = `${this.endpoint}/api/models/${this.id}/tree/${this.commit}?recursive=true&cursor=${first + PAGE}`;
    const link = first + PAGE < all.length ? { link: `<${next}>; rel="next"` } : {};
    answerJson(response, all.slice(first, first + PAGE), link);
  }
}

function answerJson(response: ServerResponse, value: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(200, { "content-type": "application/json", ...headers }).end(JSON.stringify(value));
}

function refuse(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, code === "" ? {} : { "x-error-code": code }).end();
}

/** Answers as a sound server does. */
function answerRange({ seen, response, file, first, last }: Exchange, etag: string): void {
  const { content } = file!;
  const isOther = seen.ifRange !== undefined && seen.ifRange !== etag;
  if (seen.range === undefined || isOther) {
    response.writeHead(200, { etag, "content-length": content.length }).end(content);
    return;
  }
  response.writeHead(206, {
    etag,
    "content-range": `bytes ${first}-${last}/${content.length}`,
    "content-length": last - first + 1,
  });
  response.end(content.subarray(first, last + 1));
}

function rangeOf({ headers }: IncomingMessage, file?: StoredFile): { first: number; last: number } {
  const [, first = 0, last = 0] = (/(\d+)-(\d+)/.exec(headers.range ?? "") ?? []).map(Number);
  return { first, last: Math.min(last, (file?.content.length ?? 1) - 1) };
}

function sha256(content: Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

function gitHash(content: Uint8Array): string {
  return createHash("sha1").update(`blob ${content.length}\0`).update(content).digest("hex");
}
