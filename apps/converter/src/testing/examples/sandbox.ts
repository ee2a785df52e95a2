import { execFile } from "node:child_process";
import { chmod, cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { HubServer, UploadStore, writingRoutes } from "@quern/hub/testing";
import { redisProgram, RedisServer } from "@quern/queue/testing";
import { repositoryPath } from "../run-cli.ts";

/** What a command line of an example did. */
export interface ExampleRun {
  readonly code: number;
  /** Both streams, for messages of failing tests. */
  readonly output: string;
}

const CHECKPOINT = "fixtures/golden/llama31-bpe/checkpoint";
const TOKEN = "hf_example";
const TEXT = "Grain is ground between two stones. The upper one turns, the lower one lies still.\n";
const CHAT = [
  { role: "user", content: "What is a quern?" },
  { role: "assistant", content: "A mill that is turned by hand." },
];
const TEMPLATE = "{% for message in messages %}{{ message.content }}{% endfor %}";

/** Commands that make the other files, from the checkpoint and the texts. */
const PREPARATION = [
  "quern convert model -t BF16 -o model-BF16.gguf -q",
  "quern convert model -t Q8_0 -o model.gguf -q --report conversion.json --manifest",
  "quern split model.gguf split/ --max-tensors 12 -q",
  "quern calibrate model --tokens 2048 --window 128 -o statistics.safetensors -q",
  "quern imatrix model -f texts.txt -c 128 --chunks 4 -o imatrix.gguf -q",
  "quern eval model.gguf --against model --data texts.txt -c 128 --windows 2 --report evaluation.json -q",
];

/** How examples call their Redis. */
const REDIS = "redis://localhost";

/** Folders with the files that examples speak of, a Hub, and the compiled program as `quern`. To be closed. */
export class Sandbox {
  readonly #root: string;
  readonly #hub: HubServer;
  readonly #uploads: UploadStore;
  /** Absent where there is no redis-server. */
  readonly #redis: RedisServer | undefined;
  #folders = 0;

  private constructor(root: string, hub: HubServer, uploads: UploadStore, redis: RedisServer | undefined) {
    this.#root = root;
    this.#hub = hub;
    this.#uploads = uploads;
    this.#redis = redis;
  }

  static async open(): Promise<Sandbox> {
    const root = await mkdtemp(join(tmpdir(), "quern-examples-"));
    const files = join(root, "files");
    const uploads = await UploadStore.create();
    const hub = await HubServer.start({
      id: "org/model",
      folder: repositoryPath(CHECKPOINT),
      routes: writingRoutes(uploads),
    });
    hub.tokens.add(TOKEN);
    uploads.writers.add(TOKEN);
    const redis = redisProgram === undefined ? undefined : await RedisServer.start();
    const sandbox = new Sandbox(root, hub, uploads, redis);
    await cp(repositoryPath(CHECKPOINT), join(files, "model"), { recursive: true });
    await writeFile(join(files, "texts.txt"), TEXT.repeat(150));
    await writeFile(join(files, "chats.jsonl"), `${JSON.stringify({ messages: CHAT })}\n`.repeat(200));
    await writeFile(join(files, "template.jinja"), TEMPLATE);
    await mkdir(join(root, "bin"));
    const program = join(root, "bin", "quern");
    const script = repositoryPath("apps/converter/bin/quern.js");
    await writeFile(program, `#!/bin/sh\nexec '${process.execPath}' '${script}' "$@"\n`);
    await chmod(program, 0o755);
    for (const statement of PREPARATION) {
      const { code, output } = await sandbox.run(statement, files);
      if (code !== 0) throw new Error(`${statement}\n${output}`);
    }
    return sandbox;
  }

  /** A new folder with all files. */
  async folder(): Promise<string> {
    const folder = join(this.#root, `folder-${++this.#folders}`);
    await cp(join(this.#root, "files"), folder, { recursive: true });
    return folder;
  }

  /** Whether this machine has what a statement needs: a redis-server, where it speaks of one (tools/redis.sh gets it). */
  canRun(statement: string): boolean {
    return this.#redis !== undefined || !statement.includes(REDIS);
  }

  /** A text with the address of the Redis that there is. */
  addressed(text: string): string {
    return text.replaceAll(REDIS, this.#redis?.url ?? REDIS);
  }

  /** Runs a statement of the shell. */
  run(statement: string, cwd: string): Promise<ExampleRun> {
    const env = {
      PATH: `${join(this.#root, "bin")}${delimiter}${process.env["PATH"]}`,
      HOME: this.#root,
      HF_ENDPOINT: this.#hub.endpoint,
      HF_TOKEN: TOKEN,
      // Examples run side by side, and are small.
      QUERN_THREADS: "1",
    };
    return new Promise((resolve) => {
      execFile(
        "bash",
        ["-o", "pipefail", "-c", this.addressed(statement)],
        { cwd, env, maxBuffer: 2 ** 26 },
        (error, stdout, stderr) => {
          const code = error === null ? 0 : typeof error.code === "number" ? error.code : 1;
          resolve({ code, output: `${stdout}${stderr}` });
        },
      );
    });
  }

  async close(): Promise<void> {
    await this.#hub.stop();
    await this.#uploads.remove();
    await this.#redis?.stop();
    await rm(this.#root, { recursive: true, force: true });
  }
}
