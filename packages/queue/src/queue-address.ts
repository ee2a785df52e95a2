import { QuernError } from "@quern/tensor";
import type { ClientOptions } from "./client-options.ts";

const EXPECTED = "expected redis://[user:password@]host[:port][/database], or rediss:// for TLS";

const DEFAULT_PORT = 6379;

/** Where a Redis is, and how to be let in. What it shows of itself holds no secret. */
export class QueueAddress {
  /** "redis://host:6379/0": without user and password. */
  readonly name: string;
  readonly #options: ClientOptions;

  constructor(name: string, options: ClientOptions) {
    this.name = name;
    this.#options = options;
  }

  /** For the client, secrets included. */
  clientOptions(): ClientOptions {
    return { ...this.#options };
  }

  /** A text of somebody else's, such as an error's, without the password should it be in there. */
  withoutSecrets(text: string): string {
    const { password } = this.#options;
    if (typeof password !== "string" || password === "") return text;
    return [password, encodeURIComponent(password)].reduce(
      (rest, secret) => rest.replaceAll(secret, "***"),
      text,
    );
  }
}

/**
 * Reads `redis://[user:password@]host[:port][/database]`, or `rediss://` for TLS.
 *
 * @throws QuernError `QUEUE_ADDRESS_INVALID`; the message does not repeat the address, which may hold a password
 */
export function parseQueueAddress(
  text: string,
  {
    password: fallback,
  }: {
    /** Where the address has none. */
    readonly password?: string | undefined;
  } = {},
): QueueAddress {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined) throw invalid("not an address");
  const { protocol, hostname, port, pathname, search, hash } = url;
  if (protocol !== "redis:" && protocol !== "rediss:") throw invalid(`${protocol}// is not Redis`);
  if (hostname === "") throw invalid("no host");
  if (search !== "" || hash !== "") throw invalid("something behind the database");
  const database = pathname.replace(/^\//, "");
  if (!/^\d{0,5}$/.test(database)) throw invalid("the database is not a number");
  const password = url.password === "" ? fallback : decoded(url.password);
  const options = {
    host: hostname.replace(/^\[(.*)\]$/, "$1"),
    port: port === "" ? DEFAULT_PORT : Number(port),
    db: Number(database),
    ...(url.username === "" ? {} : { username: decoded(url.username) }),
    ...(password === undefined || password === "" ? {} : { password }),
    ...(protocol === "rediss:" ? { tls: {} } : {}),
  };
  return new QueueAddress(`${protocol}//${hostname}:${options.port}/${options.db}`, options);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid("user or password with a % that stands for nothing: write %25");
  }
}

function invalid(problem: string): QuernError {
  return new QuernError("QUEUE_ADDRESS_INVALID", `The address of the queue: ${problem}; ${EXPECTED}.`);
}
