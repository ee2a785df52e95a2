import { createRequire } from "node:module";
import { QuernError } from "@quern/tensor";
import type * as Undici from "undici";

const require = createRequire(import.meta.url);

/** Where undici looks for proxies. */
const PROXIES = ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"];
const PROXY_PROTOCOLS: ReadonlySet<string> = new Set(["http:", "https:", "socks5:"]);

/** One for each thread: idle connections end by themselves, and keep no process alive. */
let dispatcher: Undici.Dispatcher | undefined;

/**
 * Whether the environment names a proxy: `HTTPS_PROXY` or `HTTP_PROXY`, in small letters, too.
 *
 * @throws QuernError `HUB_PROXY_INVALID`
 */
export function hasProxy(): boolean {
  const given = PROXIES.filter((name) => (process.env[name] ?? "") !== "");
  for (const name of given) {
    const address = process.env[name]!;
    if (URL.canParse(address) && PROXY_PROTOCOLS.has(new URL(address).protocol)) continue;
    // The address may hold a password.
    throw new QuernError(
      "HUB_PROXY_INVALID",
      `${name} is not the address of a proxy: expected one such as http://proxy.example:8080`,
      { subject: { key: name } },
    );
  }
  return given.length > 0;
}

/** Sends through the proxies of the environment, but to the hosts of `NO_PROXY`. How long an answer may take is for those to say who ask. */
export function proxyDispatcher(): Undici.Dispatcher {
  // Threads without a proxy need none of it: it takes 10 MB.
  const { EnvHttpProxyAgent } = require("undici") as typeof Undici;
  dispatcher ??= new EnvHttpProxyAgent({ headersTimeout: 0, bodyTimeout: 0 });
  return dispatcher;
}
