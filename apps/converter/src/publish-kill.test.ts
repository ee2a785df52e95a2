// A publication by the compiled program, killed again and again.

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { HubServer, UploadStore, writingRoutes } from "@quern/hub/testing";
import { afterEach, beforeEach, expect, it } from "vitest";
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

/** @param kills Called with each piece of text on standard error, and after each request; true ends the process at once. */
function publish(
  folder: string,
  more: readonly string[],
  kills: (text: string) => boolean,
): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const argv = ["publish", demoCheckpoint, "-t", TYPES, "--repo", ID, "-j", "1", "-o", folder, ...more];
    const child = spawn(process.execPath, [repositoryPath("apps/converter/bin/quern.js"), ...argv], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: process.env["PATH"], HF_ENDPOINT: server.endpoint, HF_TOKEN: TOKEN, HF_HOME: folder },
    });
    let output = "";
    const see = (text: string): void => {
      output += text;
      if (kills(text)) child.kill("SIGKILL");
    };
    server.faults.splice(0);
    server.faults.push(({ seen }) => {
      if (kills(`${seen.method} ${seen.path}`)) child.kill("SIGKILL");
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
