import { type ChildProcess, spawn } from "node:child_process";
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

/** A Redis of its own, on a port of the loopback interface, that keeps nothing. */
export class RedisServer {
  readonly port: number;
  readonly password: string | undefined;
  readonly #process: ChildProcess;
  readonly #folder: string;

  private constructor(params: {
    port: number;
    password: string | undefined;
    process: ChildProcess;
    folder: string;
  }) {
    this.port = params.port;
    this.password = params.password;
    this.#process = params.process;
    this.#folder = params.folder;
  }

  /** @param options.password That clients have to know. */
  static async start(
    options: { readonly password?: string; readonly port?: number } = {},
  ): Promise<RedisServer> {
    if (redisProgram === undefined) throw new Error("there is no redis-server: tools/redis.sh gets one");
    const { password, port = await freePort() } = options;
    const folder = await mkdtemp(join(tmpdir(), "quern-redis-"));
    const argv = ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder, "--save", ""];
    if (password !== undefined) argv.push("--requirepass", password);
    const child = spawn(redisProgram, argv, { stdio: ["ignore", "pipe", "inherit"] });
    await new Promise<void>((resolve, reject) => {
      child.on("error", reject);
      child.on("exit", (code) => reject(new Error(`redis-server ended with ${code}`)));
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        if (text.includes("Ready to accept connections")) resolve();
      });
    });
    return new RedisServer({ port, password, process: child, folder });
  }

  /** With the password, if it has one. */
  get url(): string {
    const secret = this.password === undefined ? "" : `:${encodeURIComponent(this.password)}@`;
    return `redis://${secret}127.0.0.1:${this.port}/0`;
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once("exit", resolve));
    if (this.#process.exitCode === null && this.#process.kill("SIGKILL")) await ended;
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
