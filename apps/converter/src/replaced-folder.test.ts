// Runs that are killed while one folder takes the name of another. Runs the compiled files.

import { cp, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { exitCodes } from "./exit-codes.ts";
import { repositoryPath, temporaryFolder } from "./testing/run-cli.ts";
import { type ProcessRun, runProcess } from "./testing/run-process.ts";
import { canFailWrites, compileWriteFaults, failingWrites, type WriteFault } from "./testing/write-faults.ts";

const CHECKPOINT = repositoryPath("fixtures/golden/llama31-bpe/checkpoint");

/** The journal gets its name, and the old folder another one; then the new one would get its own. */
const IN_BETWEEN = { call: "place", after: 2 } as const;

/** By name: the old folder while it is set aside. */
const ASIDE = "model.partial.replaced";

type Files = Readonly<Record<string, string>>;

let libraries: string;
let library: string;
let old: Files;
let whole: Files;
let folder: string;
beforeAll(async () => {
  libraries = await mkdtemp(join(tmpdir(), "quern-replaced-"));
  if (!canFailWrites) return;
  library = compileWriteFaults(libraries);
  folder = await temporaryFolder();
  await finish("--bits", "8");
  old = (await filesOf("model"))!;
  await finish("--force");
  whole = (await filesOf("model"))!;
});
afterAll(() => rm(libraries, { recursive: true }));
beforeEach(async () => {
  folder = await temporaryFolder();
  await finish("--bits", "8");
});

/** Content by name; undefined where there is no such folder. */
async function filesOf(name: string): Promise<Files | undefined> {
  const names = await readdir(join(folder, name)).catch(() => undefined);
  const files = names?.sort().map(async (file) => {
    return [file, (await readFile(join(folder, name, file))).toString("base64")] as const;
  });
  return files && Object.fromEntries(await Promise.all(files));
}

function run(options: readonly string[], fault?: Pick<WriteFault, "call" | "after">): Promise<ProcessRun> {
  const argv = ["convert", CHECKPOINT, "--to", "mlx", "-j", "1", "-o", join(folder, "model"), ...options];
  const failing = fault && failingWrites(library, { ...fault, path: join(folder, "model"), error: "killed" });
  return runProcess(argv, undefined, { ...process.env, ...failing });
}

/** Which folder is whole, and has the name; undefined where something is lost. */
async function stateOf(): Promise<"old" | "new" | "both" | "neither" | undefined> {
  const [named, partial, aside] = [
    await filesOf("model"),
    await filesOf("model.partial"),
    await filesOf(ASIDE),
  ];
  if (isDeepStrictEqual(named, old)) return "old";
  if (isDeepStrictEqual(named, whole)) return aside === undefined ? "new" : "both";
  if (named !== undefined) return undefined;
  return isDeepStrictEqual([partial, aside], [whole, old]) ? "neither" : undefined;
}

async function finish(...options: string[]): Promise<void> {
  const { code, stderr } = await run(options);
  expect(code, stderr).toBe(0);
}

describe.runIf(canFailWrites)("a folder that replaces another one", () => {
  it("leaves one of them whole, wherever it is killed, and the same command ends it", async () => {
    const states = new Set<string>();
    const saved = join(await temporaryFolder(), "model");
    await cp(join(folder, "model"), saved, { recursive: true });
    const giveOld = async (): Promise<void> => {
      await rm(join(folder, "model"), { recursive: true });
      await cp(saved, join(folder, "model"), { recursive: true });
    };
    // There are many files to remove.
    for (const [call, step] of [
      ["place", 1],
      ["remove", 3],
    ] as const) {
      for (let after = 0; ; after += step) {
        const { signal } = await run(["--force"], { call, after });
        if (signal === null) break;
        const state = await stateOf();
        expect(state, `${call} ${after}`).toBeDefined();
        states.add(state!);
        await finish("--force");
        expect(await filesOf("model")).toEqual(whole);
        expect(await readdir(folder)).toEqual(["model"]);
        await giveOld();
      }
      await giveOld();
    }
    expect(whole).not.toEqual(old);
    expect([...states]).toEqual(expect.arrayContaining(["both", "neither", "old"]));
  });

  it("gives the old one its name back before another run begins", async () => {
    expect((await run(["--force"], IN_BETWEEN)).signal).toBe("SIGKILL");
    const left = ["model.partial", "model.partial.journal", ASIDE];
    expect(await readdir(folder)).toEqual(left);
    const refused = await run([]);
    expect(refused.code).toBe(exitCodes.output);
    expect(refused.stderr).toMatch(/OUTPUT_EXISTS/);
    expect(refused.stderr).toContain(ASIDE);
    for (const more of [["--force"], ["--force", "--restart", "--bits", "3"]]) {
      const { stdout, code } = await run([...more, "--dry-run"]);
      expect([code, stdout.includes("replaces the one there")]).toEqual([0, true]);
    }
    expect(await readdir(folder)).toEqual(left);
    // Killed again, as it begins to write weights.
    const killed = await run(["--force", "--restart", "--bits", "3"], { call: "write", after: 100_000 });
    expect(killed.signal).toBe("SIGKILL");
    expect(await filesOf("model")).toEqual(old);
    expect(await readdir(folder)).not.toContain(ASIDE);
    await finish("--force", "--restart");
    expect(await filesOf("model")).toEqual(whole);
    expect(await readdir(folder)).toEqual(["model"]);
  });
});
