/** Every variable of the environment that commands look at, and what it does. */
const VARIABLES = {
  CI: "when set, show progress as plain lines even on a terminal",
  DEBUG: "when set, show where errors come from, as --debug does",
  FORCE_COLOR: "colours even in a pipe; 0 for none",
  HF_ENDPOINT: "address of the Hub (default: https://huggingface.co)",
  HF_HOME: "folder of the Hub's tools, with cache and token (default: ~/.cache/huggingface)",
  HF_HUB_CACHE: "folder of the shared cache (default: hub in HF_HOME)",
  HF_HUB_OFFLINE: "1, ON, YES or TRUE: make no network requests",
  HF_TOKEN: "access token for the Hub; never stored or shown",
  HF_TOKEN_PATH: "file with the access token, if HF_TOKEN is not set (default: token in HF_HOME)",
  HTTPS_PROXY: "proxy for what is read from the Hub and published to it, such as http://proxy.example:8080",
  HTTP_PROXY: "the same for a Hub without TLS",
  NO_COLOR: "when set, no colours",
  NO_PROXY: "hosts that are asked without a proxy, comma-separated",
  NODE_EXTRA_CA_CERTS: "file with certificates of further authorities, such as one's own for rediss://",
  QUERN_MEMORY: "default of --memory, such as 400MB or 1GiB",
  QUERN_THREADS: "default of --threads",
  QUERN_KERNELS: "kernels to run: native, wasm, or the path of a native addon",
  QUERN_KERNELS_ISA: "instruction set of the native kernels, such as avx2 (default: the best one)",
  QUERN_QUEUE_PASSWORD: "password for the Redis of --queue, if its address has none; never stored or shown",
  TMPDIR: "folder for temporary files",
  TERM: "dumb: no colours, and progress in plain lines",
  XDG_CACHE_HOME: "folder for caches, used for HF_HOME (default: ~/.cache)",
  XDG_CONFIG_HOME: "folder for configuration; settings are in quern/config.json (default: ~/.config)",
} as const;

export type EnvironmentVariable = keyof typeof VARIABLES;

export const ENVIRONMENT: Readonly<Record<EnvironmentVariable, string>> = VARIABLES;

/** Variables of commands that read models. */
export const HUB_VARIABLES: readonly EnvironmentVariable[] = [
  "HF_TOKEN",
  "HF_TOKEN_PATH",
  "HF_HOME",
  "HF_HUB_CACHE",
  "HF_HUB_OFFLINE",
  "HF_ENDPOINT",
  "HTTPS_PROXY",
  "HTTP_PROXY",
  "NO_PROXY",
];

/** Variables of commands that compute. */
export const KERNEL_VARIABLES: readonly EnvironmentVariable[] = [
  "QUERN_THREADS",
  "QUERN_MEMORY",
  "QUERN_KERNELS",
  "QUERN_KERNELS_ISA",
];

/** Variables of commands that work with other machines. */
export const QUEUE_VARIABLES: readonly EnvironmentVariable[] = [
  "QUERN_QUEUE_PASSWORD",
  "NODE_EXTRA_CA_CERTS",
];
