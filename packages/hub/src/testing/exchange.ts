import type { IncomingMessage, ServerResponse } from "node:http";
import type { HubServer } from "./hub-server.ts";
import type { StoredFile } from "./stored-repository.ts";

/** Which of the servers: the endpoint, or the host of large files. */
export type Host = "hub" | "cdn";

/** A request as the servers saw it. */
export interface SeenRequest {
  readonly host: Host;
  readonly method: string;
  readonly path: string;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
  readonly ifRange: string | undefined;
}

/** How a server that is far away, or shared by many, sends files. */
export interface Pace {
  /** Milliseconds until an answer begins. */
  readonly delay: number;
  /** Bytes per second that a connection gets. */
  readonly rate: number;
}

/** A request that is being answered. */
export interface Exchange {
  readonly server: HubServer;
  readonly seen: SeenRequest;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** What is named in the path, decoded: groups of the route's pattern. */
  readonly names: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** The file, where one is asked for, and which bytes of it. */
  readonly file?: StoredFile;
  readonly first: number;
  readonly last: number;
}

/** A fault: handles the request itself and returns true, or lets it be answered. */
export type Fault = (exchange: Exchange) => boolean;

/** What one kind of request is answered with. */
export interface Route {
  readonly host: Host;
  /** "GET" stands for HEAD, too. */
  readonly method: string;
  /** Of the whole path, before it is decoded; names its parts by groups. */
  readonly pattern: RegExp;
  /** The file that is asked for, if one is. */
  file?(names: Readonly<Record<string, string>>, server: HubServer): StoredFile | undefined;
  answer(exchange: Exchange): void | Promise<void>;
}
