/** What system, TLS and HTTP say of connections, in words. */
const REASONS: readonly (readonly [codes: RegExp, reason: string])[] = [
  [/^(?:ENOTFOUND|EAI_AGAIN|EAI_NODATA)$/, "there is no such host, or no network"],
  [/^ECONNREFUSED$/, "the connection was refused"],
  [/^(?:ECONNRESET|EPIPE|UND_ERR_SOCKET)$/, "the connection broke"],
  [/^(?:ETIMEDOUT|UND_ERR_\w*TIMEOUT|TimeoutError)$/, "there was no answer in time"],
  [/^(?:EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL)$/, "there is no way to the host"],
  [/CERT|^ERR_TLS_|SIGNATURE/, "its certificate is not trusted (NODE_EXTRA_CA_CERTS adds others)"],
];

/** Of undici, about an answer to CONNECT. */
const PROXY_ANSWER = /Proxy response \((\d{3})\)/;

/**
 * Why a connection failed, for people: `fetch` says "fetch failed", and something else is below. Addresses, which may hold passwords, are no
 * part of it.
 */
export function connectionFailure(error: unknown): string {
  const found = innermost(error);
  const answer = PROXY_ANSWER.exec(found.message)?.[1];
  if (answer !== undefined) return `the proxy answered ${answer}`;
  // Those of timeouts are numbers.
  const code = typeof found.code === "string" ? found.code : undefined;
  const name = code ?? found.name;
  const reason = REASONS.find(([codes]) => codes.test(name))?.[1];
  if (reason !== undefined) return code === undefined ? reason : `${reason} (${code})`;
  return found.message.replaceAll(/\b\w+:\/\/\S+/g, "(address)") || name;
}

/** What lies below an error; of several attempts, the first. */
function innermost(error: unknown): Error & { code?: unknown } {
  const { cause, errors } = (error ?? {}) as { cause?: unknown; errors?: readonly unknown[] };
  const below = cause instanceof Error ? cause : errors?.[0];
  if (below instanceof Error) return innermost(below);
  return error instanceof Error ? error : new Error(String(error));
}
