import { setTimeout as sleep } from "node:timers/promises";
import { connectQueue, parseQueueAddress, type QueueConnection } from "@quern/queue";
import { RedisServer, type RedisServerOptions } from "@quern/queue/testing";
import { ProgramProcess, until } from "./program-process.ts";

/** A Redis, the processes of a test that know it, and all that went there. */
export class QueuePlace {
  readonly server: RedisServer;
  readonly connection: QueueConnection;
  /** What processes that have ended have said, and every command that Redis has got. */
  seen = "";
  readonly #processes: ProgramProcess[] = [];
  #monitor: { disconnect(): void } | undefined;

  private constructor(server: RedisServer, connection: QueueConnection) {
    this.server = server;
    this.connection = connection;
  }

  static async open(options: RedisServerOptions = {}): Promise<QueuePlace> {
    const server = await RedisServer.start(options);
    return new QueuePlace(server, await connectQueue({ address: parseQueueAddress(server.url) }));
  }

  /** Writes down every command that Redis gets from now on, arguments included. */
  async watch(): Promise<void> {
    const monitor = await this.connection.another().monitor();
    this.#monitor = monitor;
    monitor.on("monitor", (_time: string, command: string[]) => (this.seen += `${command.join(" ")}\n`));
  }

  start(argv: readonly string[], env?: Readonly<Record<string, string>>): ProgramProcess {
    const process = new ProgramProcess(argv, env);
    this.#processes.push(process);
    return process;
  }

  /** A worker of one thread that is soon missed. */
  worker(argv: readonly string[] = [], env?: Readonly<Record<string, string>>): ProgramProcess {
    return this.start(["worker", "--queue", this.server.url, "-j", "1", "--lease", "1", ...argv], env);
  }

  /** A conversion by the queue. */
  convert(model: string, argv: readonly string[], env?: Readonly<Record<string, string>>): ProgramProcess {
    return this.start(["convert", model, "--queue", this.server.url, "--lease", "1", ...argv], env);
  }

  /** Waits until there are jobs. */
  async isPosted(): Promise<void> {
    await until(async () => (await this.connection.redis.keys("quern:run-*:wait")).length > 0);
  }

  /** Jobs that workers have in hand. */
  async active(): Promise<number> {
    const { redis } = this.connection;
    const keys = await redis.keys("quern:run-*:active");
    const counts = await Promise.all(keys.map((key) => redis.llen(key)));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  /** Stops a process in the middle of a job; it is the only one that works. */
  async holdAtWork({ process: child }: ProgramProcess): Promise<void> {
    for (;;) {
      await until(async () => (await this.active()) > 0);
      child.kill("SIGSTOP");
      // What it has sent before it was stopped has to arrive.
      await sleep(20);
      if ((await this.active()) > 0) return;
      child.kill("SIGCONT");
    }
  }

  /** Everything in Redis, as text. */
  async dump(): Promise<string> {
    const { redis } = this.connection;
    const keys = await redis.keys("*");
    const values = keys.map(async (key) => {
      const type = await redis.type(key);
      if (type === "string") return redis.get(key);
      if (type === "hash") return JSON.stringify(await redis.hgetall(key));
      if (type === "zset") return (await redis.zrange(key, "0", "-1")).join(" ");
      if (type === "list") return (await redis.lrange(key, 0, -1)).join(" ");
      return JSON.stringify(await redis.xrange(key, "-", "+"));
    });
    return [...keys, ...(await Promise.all(values))].join("\n");
  }

  /** Ends the processes of a test. */
  async endProcesses(): Promise<void> {
    for (const process of this.#processes.splice(0)) {
      await process.kill();
      this.seen += process.text;
    }
  }

  /** Ends the processes of a test, and empties Redis. */
  async clear(): Promise<void> {
    await this.endProcesses();
    await this.connection.redis.flushall();
  }

  async close(): Promise<void> {
    this.#monitor?.disconnect();
    this.connection.close();
    await this.server.stop();
  }
}
