// Files that cannot be written any more, by errors of the system at moments that are known.

import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { HubServer, UploadStore, writingRoutes } from "@quern/hub/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { exitCodes } from "./exit-codes.ts";
import { repositoryPath, temporaryFolder } from "./testing/run-cli.ts";
import { type ProcessRun, runProcess } from "./testing/run-process.ts";
import { canFailWrites, compileWriteFaults, failingWrites, type WriteFault } from "./testing/write-faults.ts";

const CHECKPOINT = repositoryPath("fixtures/golden/llama31-bpe/checkpoint");

type Fault = Omit<WriteFault, "path">;

/**
 * @param bytes Some of those that are written.
 * @param names That are given before the final one: those of a journal, and of hidden states.
 */
const faults = (bytes: number, names: number): readonly (readonly [string, Fault, code: string])[] => [
  ["a device that fails", { call: "write", error: "EIO", after: bytes }, "OUTPUT_WRITE_FAILED"],
  ["a disk that is full", { call: "write", error: "ENOSPC", after: bytes }, "OUTPUT_DISK_FULL"],
  ["a device that fails to keep", { call: "sync", error: "EIO", after: 0 }, "OUTPUT_WRITE_FAILED"],
  ["a folder that fails", { call: "place", error: "EIO", after: names }, "OUTPUT_WRITE_FAILED"],
];

/** Content by path within a folder. */
async function filesOf(folder: string): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile()) files.set(relative(folder, path), (await readFile(path)).toString("base64"));
  }
  return files;
}

let libraries: string;
let library: string;
beforeAll(async () => {
  libraries = await mkdtemp(join(tmpdir(), "quern-faults-"));
  if (canFailWrites) library = compileWriteFaults(libraries);
});
afterAll(() => rm(libraries, { recursive: true }));

function run(argv: readonly string[], fault?: WriteFault, env = {}): Promise<ProcessRun> {
  const failing = fault === undefined ? {} : failingWrites(library, fault);
  return runProcess(argv, undefined, { ...process.env, ...env, ...failing });
}

async function undisturbed(argv: readonly string[], folder: string): Promise<Map<string, string>> {
  const { code, stderr } = await run(argv);
  if (code !== 0) throw new Error(stderr);
  return filesOf(folder);
}

function expectFailure({ code, stderr }: ProcessRun, wanted: string, file: string): void {
  expect(code, stderr).toBe(exitCodes.output);
  expect(stderr).toMatch(new RegExp(`code +${wanted}\n`));
  expect(stderr).toMatch(new RegExp(`file +\\S*${file}\\S*\n`));
}

describe.runIf(canFailWrites).each([
  { command: "convert", options: ["-t", "Q4_K_M"], output: "m.gguf", bytes: 600_000, names: 1 },
  { command: "convert", options: ["--to", "mlx"], output: "model", bytes: 600_000, names: 1 },
  {
    command: "calibrate",
    options: ["--tokens", "512"],
    output: "s.safetensors",
    bytes: 1_900_000,
    names: 4,
  },
])("$command $options.0 $options.1", ({ command, options, output, bytes, names }) => {
  const argv = (where: string): string[] => {
    return [command, CHECKPOINT, ...options, "-j", "1", "-o", join(where, output)];
  };
  let expected: Map<string, string>;
  beforeAll(async () => {
    const whole = await temporaryFolder();
    expected = await undisturbed(argv(whole), whole);
  });

  it.each(faults(bytes, names))(
    "says what is wrong with %s, and goes on when it can",
    async (_name, fault, code) => {
      const folder = await temporaryFolder();
      const path = join(folder, output);
      expectFailure(await run(argv(folder), { ...fault, path }), code, output);
      await expect(stat(path)).rejects.toThrow("ENOENT");
      // What was not brought to disk is not gone on with.
      expect((await readdir(folder)).length > 0).toBe(fault.call !== "sync");
      const resumed = await run(argv(folder));
      expect(resumed.code, resumed.stderr).toBe(0);
      expect(await filesOf(folder)).toEqual(expected);
    },
  );
});

describe.runIf(canFailWrites)("publish", () => {
  const TOKEN = "hf_publisher";
  const ID = "mill/tiny-GGUF";
  let store: UploadStore;
  let server: HubServer;
  let expected: Map<string, string>;
  beforeAll(async () => {
    const plain = await temporaryFolder();
    const argv = ["convert", CHECKPOINT, "-t", "Q8_0,Q4_K_M", "--manifest", "-j", "1", "-o", `${plain}/`];
    expected = await undisturbed(argv, plain);
    store = await UploadStore.create();
    server = await HubServer.start({ id: "org/tiny", routes: writingRoutes(store) });
    server.tokens.add(TOKEN);
    store.writers.add(TOKEN);
  });
  afterAll(async () => {
    await server.stop();
    await store.remove();
  });

  const journal: readonly (readonly [name: string, fault: Fault, code: string])[] = [
    ["at its beginning", { call: "write", error: "ENOSPC", after: 0 }, "OUTPUT_DISK_FULL"],
    ["in the midst of a line", { call: "write", error: "EIO", after: 600 }, "OUTPUT_WRITE_FAILED"],
    ["with a full disk", { call: "write", error: "ENOSPC", after: 1500 }, "OUTPUT_DISK_FULL"],
    ["when a line is to stay", { call: "sync", error: "EIO", after: 2 }, "OUTPUT_WRITE_FAILED"],
  ];
  it.each(journal)(
    "says that its journal fails %s, and goes on when it does not",
    async (_name, fault, code) => {
      server.repositories.delete(ID);
      const env = { HF_ENDPOINT: server.endpoint, HF_TOKEN: TOKEN };
      const folder = await temporaryFolder();
      const argv = ["publish", CHECKPOINT, "-t", "Q8_0,Q4_K_M", "--repo", ID, "-j", "1", "-o", folder];
      const path = ".publication.jsonl";
      expectFailure(await run(argv, { ...fault, path }, env), code, "mill--tiny-GGUF.publication.jsonl");
      const resumed = await run(argv, undefined, env);
      expect(resumed.code, resumed.stderr).toBe(0);
      const { files } = server.repositories.get(ID)!.head;
      for (const [name, content] of expected) {
        const file = files.get(name)!.content;
        expect(file.read(0, file.size).toString("base64") === content, name).toBe(true);
      }
    },
  );
});
