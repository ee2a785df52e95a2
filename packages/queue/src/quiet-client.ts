import { createRequire } from "node:module";

/** As far as it is needed of the `debug` package. */
interface DebugLog {
  /** @returns what was enabled */
  disable(): string;
  enable(namespaces: string): void;
}

/**
 * The client of Redis logs whatever it sends where the variable DEBUG asks for it, passwords included: that must not be. To be called
 * before the first client is made.
 */
export function quietClient(): void {
  const client = createRequire(import.meta.url).resolve("ioredis");
  const log = createRequire(client)("debug") as DebugLog;
  const enabled = log.disable();
  if (enabled !== "") log.enable(`${enabled},-ioredis:*`);
}
