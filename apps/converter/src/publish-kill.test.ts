// A publication by the compiled program, killed again and again.

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { HubServer, UploadStore, writingRoutes } from "@quern/hub/testing";
import { afterEach, beforeEach, expect, it } from "vitest";
import { canFailWrites, compileWriteFaults, failingWrites } from "./testing/write-faults.ts";
import { demoCheckpoint, repositoryPath, runCli, temporaryFolder } from "./testing/run-cli.ts";

const TOKEN = "hf_publisher";
const ID = "mill/demo-GGUF";
const TYPES = "Q8_0,Q4_K_M";

let store: UploadStore;
let server: HubServer;

beforeEach(async () => {
  store = await UploadStore.create();
  server = await HubServer.start({
    id: "org/quern-demo",
    folder: demoCheckpoint,
    routes: writingRoutes(store),
  });
  server.tokens.add(TOKEN);
  store.writers.add(TOKEN);
  store.partSize = 500_000;
});
afterEach(async () => {
  await server.stop();
  await store.remove();
});

/**
 * @param kills Called with each piece of text on standard error, with each request, and with "done: " before it when it was done and is to be
 * answered; true ends the process at once.
 */
function publish(
  folder: string,
  more: readonly string[],
  kills: (text: string) => boolean,
  environment: Record<string, string> = {},
): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const what = more.includes("--to") ? [] : ["-t", TYPES];
    const argv = ["publish", demoCheckpoint, ...what, "--repo", ID, "-j", "1", "-o", folder, ...more];
    const child = spawn(process.execPath, [repositoryPath("apps/converter/bin/quern.js"), ...argv], {
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        PATH: process.env["PATH"],
        HF_ENDPOINT: server.endpoint,
        HF_TOKEN: TOKEN,
        HF_HOME: folder,
        ...environment,
      },
    });
    let output = "";
    const see = (text: string): void => {
      output += text;
      if (kills(text)) child.kill("SIGKILL");
    };
    server.faults.splice(0);
    server.faults.push(({ seen, response }) => {
      const request = `${seen.method} ${seen.path}`;
      if (kills(request)) child.kill("SIGKILL");
      const writeHead = response.writeHead.bind(response) as (...args: unknown[]) => typeof response;
      response.writeHead = (...args: unknown[]) => {
        if (!kills(`done: ${request}`)) return writeHead(...args);
        child.kill("SIGKILL");
        return response.destroy();
      };
      return false;
    });
    child.stdout.setEncoding("utf8").on("data", see);
    child.stderr.setEncoding("utf8").on("data", see);
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, output }));
  });
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

it("goes on from wherever it was killed, and publishes the same bytes", async () => {
  const more = ["--delete-local"];
  const moments = [/^PUT \/uploads\/.*\/2$/, /\/commit\//, /making Q4_K_M/];
  const plain = await temporaryFolder();
  await runCli({ argv: ["convert", demoCheckpoint, "-t", TYPES, "-o", `${plain}/`, "--manifest", "-q"] });
  const wanted = new Map<string, string>();
  for (const name of await readdir(plain)) wanted.set(name, sha256(await readFile(join(plain, name))));
  expect(wanted.size).toBe(4);

  const folder = await temporaryFolder();
  for (const moment of moments) {
    const { code, output } = await publish(folder, more, (text) => moment.test(text));
    expect(code, `${moment}\n${output}`).toBe(null);
    // What has its final name is complete, whenever the process ended.
    for (const name of (await readdir(folder)).filter((file) => file.endsWith(".gguf"))) {
      expect(sha256(await readFile(join(folder, name)))).toBe(wanted.get(name));
    }
  }
  const { code, output } = await publish(folder, more, () => false);
  expect(code, output).toBe(0);
  const { files } = server.repositories.get(ID)!.head;
  for (const [name, hash] of wanted) {
    const { content } = files.get(name)!;
    expect(sha256(content.read(0, content.size))).toBe(hash);
  }
  expect(files.get("README.md")).toBeDefined();
  const left = (await readdir(folder)).filter((name) => name.includes(".gguf"));
  expect(left).toEqual([]);
});

it("opens one pull request, though it was killed before it knew of it", async () => {
  const folder = await temporaryFolder();
  const killed = await publish(folder, ["--pr"], (text) => /^done: POST .*\/commit\//.test(text));
  expect(killed.code, killed.output).toBe(null);
  expect(server.repositories.get(ID)!.pullRequests).toHaveLength(1);
  const { code, output } = await publish(folder, ["--pr"], () => false);
  expect(code, output).toBe(0);
  const repository = server.repositories.get(ID)!;
  expect(repository.pullRequests).toHaveLength(1);
  const { files } = repository.find("refs/pr/1")!;
  for (const name of (await readdir(folder)).filter((file) => file.endsWith(".gguf"))) {
    const { content } = files.get(name)!;
    expect(sha256(content.read(0, content.size))).toBe(sha256(await readFile(join(folder, name))));
  }
  expect([...files.keys()].filter((name) => name.endsWith(".gguf"))).toHaveLength(2);
});

it.runIf(canFailWrites)(
  "ends the run of a checkpoint that was killed when all but its journal was done",
  async () => {
    const folder = await temporaryFolder();
    const library = compileWriteFaults(await temporaryFolder());
    const path = ".partial.journal";
    const killed = await publish(
      folder,
      ["--to", "mlx"],
      () => false,
      failingWrites(library, { call: "remove", path, after: 0, error: "killed" }),
    );
    expect(killed.code, killed.output).toBe(null);
    const names = async (): Promise<string[]> =>
      (await readdir(folder)).filter((name) => !name.endsWith(".jsonl")).sort();
    const [model, journal] = await names();
    expect(journal).toBe(`${model}.partial.journal`);
    const { code, output } = await publish(folder, ["--to", "mlx"], () => false);
    expect(code, output).toBe(0);
    expect(await names()).toEqual([model]);
    const { files } = server.repositories.get(ID)!.head;
    for (const name of await readdir(join(folder, model!))) {
      if (name === "README.md") continue;
      const { content } = files.get(name)!;
      expect(sha256(content.read(0, content.size))).toBe(sha256(await readFile(join(folder, model!, name))));
    }
  },
);
