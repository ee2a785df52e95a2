import type { EnvironmentVariable } from "../help/environment.ts";

/** A default that users set once instead of an option each time. */
export interface Setting {
  /** In files, and the name of the option on the command line. */
  readonly key: string;
  readonly kind: "text or number" | "whole number" | "yes or no";
  readonly description: string;
  /** What holds where nothing is set. */
  readonly usual: string;
  readonly variable?: EnvironmentVariable;
  /** Whether whoever uses the value looks at the variable without being told. */
  readonly readsVariable?: true;
}

/** Never a token: files like these are shared. */
export const SETTINGS: readonly Setting[] = [
  {
    key: "threads",
    kind: "whole number",
    description: "worker threads, 0 for none",
    usual: "one per core",
    variable: "QUERN_THREADS",
  },
  {
    key: "memory",
    kind: "text or number",
    description: "memory for buffers, such as 400MB or 1GiB",
    usual: "by command",
    variable: "QUERN_MEMORY",
  },
  {
    key: "kernels",
    kind: "text or number",
    description: "native or wasm",
    usual: "native where it loads",
    variable: "QUERN_KERNELS",
    readsVariable: true,
  },
  {
    key: "cache",
    kind: "yes or no",
    description: "whether downloads are kept in the shared Hub cache",
    usual: "no",
  },
  {
    key: "offline",
    kind: "yes or no",
    description: "whether only the cache is used, without network requests",
    usual: "as HF_HUB_OFFLINE says",
  },
  {
    key: "progress",
    kind: "yes or no",
    description: "whether progress is shown",
    usual: "yes",
  },
];

/** JSON schema of the files, for editors that check them. */
export function settingsSchema(): Record<string, unknown> {
  const types = { "text or number": ["string", "number"], "whole number": "integer", "yes or no": "boolean" };
  const properties = SETTINGS.map(({ key, kind, description }) => [key, { type: types[kind], description }]);
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Settings of quern",
    type: "object",
    properties: { $schema: { type: "string" }, ...(Object.fromEntries(properties) as object) },
    additionalProperties: true,
  };
}
