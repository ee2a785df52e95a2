import { randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { refuse } from "./answers.ts";
import type { Exchange, Fault, Host, Pace, Route, SeenRequest } from "./exchange.ts";
import { READING_ROUTES } from "./reading-routes.ts";
import { filesOfFolder, type StoredFile, StoredRepository } from "./stored-repository.ts";

/** Two names of this machine: clients tell hosts apart by name, and not by port. */
const HOSTS: Readonly<Record<Host, string>> = { hub: "127.0.0.1", cdn: "localhost" };

/**
 * A Hub on this machine: two real HTTP servers, the endpoint and a host of large files, with what the documentation of the Hub says of
 * model information, trees in pages, files, ranges, redirects with signatures that expire, and access. What requests are answered with
 * is a list of routes.
 */
export class HubServer {
  readonly requests: SeenRequest[] = [];
  /** Asked in order for every request; the first that handles it ends it. */
  readonly faults: Fault[] = [];
  /** Tokens that may read; nobody needs one when it is empty. */
  readonly tokens: Set<string> = new Set();
  readonly repositories: Map<string, StoredRepository> = new Map();
  /** How fast files come. Default: as fast as they can. */
  pace: Pace | undefined;
  /** Signatures of addresses at the host of files that are good. */
  readonly #signatures = new Set<string>();
  readonly #routes: readonly Route[];
  readonly #hub: Server;
  readonly #cdn: Server;

  private constructor(routes: readonly Route[]) {
    this.#routes = routes;
    const serverOf = (host: Host): Server =>
      createServer((request, response) => {
        this.#answer(host, request, response).catch((error: unknown) => {
          response.destroy(error instanceof Error ? error : undefined);
        });
      });
    this.#hub = serverOf("hub");
    this.#cdn = serverOf("cdn");
  }

  /**
   * @param params.id Of the first repository.
   * @param params.folder Whose files the first repository has. Default: it is empty.
   * @param params.routes Asked before those that read.
   */
  static async start(params: { id: string; folder?: string; routes?: readonly Route[] }): Promise<HubServer> {
    const { id, folder, routes = [] } = params;
    const server = new HubServer([...routes, ...READING_ROUTES]);
    const repository = new StoredRepository(id);
    const files = folder === undefined ? new Map<string, StoredFile>() : await filesOfFolder(folder);
    const { id: commit } = repository.commit({ files });
    repository.refs.set("v1", commit).set("refs/pr/1", commit);
    server.repositories.set(id, repository);
    await new Promise<void>((resolve) => server.#hub.listen(0, HOSTS.hub, resolve));
    await new Promise<void>((resolve) => server.#cdn.listen(0, HOSTS.cdn, resolve));
    return server;
  }

  get endpoint(): string {
    return addressOf("hub", this.#hub);
  }

  /** The first repository. */
  get repository(): StoredRepository {
    return this.repositories.values().next().value!;
  }

  /** An address at the host of files, with a signature of its own. */
  sign(path: string): string {
    const signature = randomBytes(16).toString("hex");
    this.#signatures.add(signature);
    return `${addressOf("cdn", this.#cdn)}/${path}?X-Signature=${signature}`;
  }

  isSigned(query: URLSearchParams): boolean {
    return this.#signatures.has(query.get("X-Signature") ?? "");
  }

  /** Redirects that have been given lead nowhere any more. */
  expireRedirects(): void {
    this.#signatures.clear();
  }

  async stop(): Promise<void> {
    for (const server of [this.#hub, this.#cdn]) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  async #answer(host: Host, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams: query } = new URL(request.url!, "http://host");
    const { range, authorization, "if-range": ifRange } = request.headers;
    const method = request.method!;
    const seen = {
      host,
      method,
      path: pathname,
      range,
      authorization,
      ifRange: ifRange as string | undefined,
    };
    this.requests.push(seen);
    const route = this.#routes.find(
      (one) =>
        one.host === host &&
        (one.method === method || (one.method === "GET" && method === "HEAD")) &&
        one.pattern.test(pathname),
    );
    const groups = route?.pattern.exec(pathname)?.groups ?? {};
    const names = Object.fromEntries(
      Object.entries(groups).map(([name, text]) => [name, decodeURIComponent(text)]),
    );
    const file = route?.file?.(names, this);
    const exchange: Exchange = {
      server: this,
      seen,
      request,
      response,
      names,
      query,
      ...(file && { file }),
      ...rangeOf(range, file?.content.size ?? 1),
    };
    if (this.faults.some((fault) => fault(exchange))) return;
    if (route === undefined) return refuse(response, 404, "RepoNotFound");
    await route.answer(exchange);
  }
}

function addressOf(host: Host, server: Server): string {
  return `http://${HOSTS[host]}:${(server.address() as AddressInfo).port}`;
}

function rangeOf(range: string | undefined, size: number): { first: number; last: number } {
  const [, first = "0", last = ""] = /(\d+)-(\d*)/.exec(range ?? "") ?? [];
  return { first: Number(first), last: Math.min(last === "" ? Infinity : Number(last), size - 1) };
}
