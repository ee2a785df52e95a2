import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Where `tools/redis.sh` puts one. */
const CACHED = fileURLToPath(new URL("../../../../node_modules/.cache/redis/bin", import.meta.url));

/** Path of a redis-server; undefined where there is none. */
export const redisProgram: string | undefined = [
  ...(process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== ""),
  CACHED,
]
  .map((folder) => join(folder, "redis-server"))
  .find(isExecutable);

/** Whether that was built with TLS. */
export function redisHasTls(): boolean {
  if (redisProgram === undefined) return false;
  // It complains of the first setting that it cannot read.
  const { stderr } = spawnSync(redisProgram, ["--tls-port", "0", "--port", "none"], { encoding: "utf8" });
  return stderr.includes("'port ");
}

export interface RedisServerOptions {
  /** That clients have to know. */
  readonly password?: string;
  /** @default one that nobody listens on */
  readonly port?: number;
  /** Whether it remembers what it held when it is started again. @default false */
  readonly remembers?: boolean;
  /** For TLS instead of plain connections: paths of a certificate and of its key. */
  readonly tls?: { readonly certificate: string; readonly key: string };
  /** "--maxmemory", "1mb", ... */
  readonly settings?: readonly string[];
}

/** A Redis of its own, on a port of the loopback interface. */
export class RedisServer {
  readonly port: number;
  readonly #options: RedisServerOptions;
  readonly #folder: string;
  #process: ChildProcess | undefined;

  private constructor(params: { port: number; options: RedisServerOptions; folder: string }) {
    this.port = params.port;
    this.#options = params.options;
    this.#folder = params.folder;
  }

  static async start(options: RedisServerOptions = {}): Promise<RedisServer> {
    const { port = await freePort() } = options;
    const folder = await mkdtemp(join(tmpdir(), "quern-redis-"));
    const server = new RedisServer({ port, options, folder });
    await server.startAgain();
    return server;
  }

  /** After {@link kill}. */
  async startAgain(): Promise<void> {
    if (redisProgram === undefined) throw new Error("there is no redis-server: tools/redis.sh gets one");
    const { password, remembers = false, tls, settings = [] } = this.#options;
    const port = String(this.port);
    const argv = ["--bind", "127.0.0.1", "--dir", this.#folder, "--save", "", ...settings];
    if (remembers) argv.push("--appendonly", "yes", "--appendfsync", "always");
    if (password !== undefined) argv.push("--requirepass", password);
    if (tls === undefined) argv.push("--port", port);
    else {
      argv.push("--port", "0", "--tls-port", port, "--tls-auth-clients", "no");
      argv.push("--tls-cert-file", tls.certificate, "--tls-key-file", tls.key);
    }
    const child = spawn(redisProgram, argv, { stdio: ["ignore", "pipe", "inherit"] });
    let log = "";
    await new Promise<void>((resolve, reject) => {
      child.on("error", reject);
      child.on("exit", (code) => reject(new Error(`redis-server ended with ${code}:\n${log}`)));
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        log += text;
        if (text.includes("Ready to accept connections")) resolve();
      });
    });
    this.#process = child;
  }

  /** With the password, if it has one. */
  get url(): string {
    const { password, tls } = this.#options;
    const secret = password === undefined ? "" : `:${encodeURIComponent(password)}@`;
    return tls === undefined
      ? `redis://${secret}127.0.0.1:${this.port}/0`
      : `rediss://${secret}localhost:${this.port}/0`;
  }

  /** Answers nobody until {@link resume}, as when the network is cut: connections stay open. */
  pause(): void {
    this.#process?.kill("SIGSTOP");
  }

  resume(): void {
    this.#process?.kill("SIGCONT");
  }

  /** Ends it at once. */
  async kill(): Promise<void> {
    const child = this.#process;
    if (child === undefined) return;
    this.#process = undefined;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    if (child.exitCode === null && child.kill("SIGKILL")) await ended;
  }

  /** Ends it, and removes all that it held. */
  async stop(): Promise<void> {
    await this.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** A port that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
