import { execFile } from "node:child_process";
import type { Command } from "commander";
import { describe, expect, it } from "vitest";
import { exitCodes } from "./exit-codes.ts";
import { loadCommands } from "./lazy-commands.ts";
import { createProgram } from "./main.ts";
import { MemoryHost } from "./testing/memory-host.ts";
import { demoCheckpoint, repositoryPath, runCli, temporaryFolder } from "./testing/run-cli.ts";

const program = createProgram(new MemoryHost({ cwd: repositoryPath(".") }));
await loadCommands(program);

/** Commands that do something themselves; what `completions` prints is a script, whatever is asked for. */
function acting(parent: Command): Command[] {
  return parent.commands
    .filter((command) => !["help", "completions"].includes(command.name()))
    .flatMap((command) => (command.commands.length === 0 ? [command] : acting(command)));
}

const escape = String.fromCharCode(27);

describe("messages", () => {
  it.each(acting(program).map((command) => [command.name(), command] as const))(
    "quern %s has --json, --quiet and --verbose",
    (_, command) => {
      const long = command.options.map((option) => option.long);
      expect(long).toEqual(expect.arrayContaining(["--json", "--quiet", "--verbose"]));
      const short = command.options.filter(({ long: name }) => name === "--quiet" || name === "--verbose");
      expect(short.map((option) => option.short)).toEqual(["-q", "-v"]);
    },
  );

  it("say every step and all of the plan with --verbose, nothing with --quiet", async () => {
    const convert = async (...argv: readonly string[]): Promise<{ stderr: string; stdout: string }> => {
      const cwd = await temporaryFolder();
      return runCli({ argv: ["convert", demoCheckpoint, "-t", "Q8_0", ...argv], cwd, terminal: true });
    };
    const [usual, verbose, quiet] = [await convert(), await convert("--verbose"), await convert("-q")];
    expect(verbose.stderr).toMatch(/^done blk\.0\.attn_q\.weight$/m);
    expect(verbose.stderr).toMatch(/^ *blk\.0\.attn_q\.weight .*Q8_0/m);
    expect(usual.stderr).not.toMatch(/^done /m);
    expect(quiet.stderr).toBe("");
    for (const { stdout } of [usual, verbose, quiet]) expect(stdout).toContain("Q8_0");
  });

  it("cannot be both quiet and verbose", async () => {
    const { exitCode, stderr } = await runCli({ argv: ["types", "-q", "-v"] });
    expect(exitCode).toBe(exitCodes.usage);
    expect(stderr).toContain("cannot be used with");
  });

  it.each([
    [["convert", "--json"]],
    [["convert", "x", "--json", "--typ", "Q8_0"]],
    [["convert", "x", "--json", "--threads", "many"]],
    [["convert", "nowhere", "--json"]],
    [["inspect", "nowhere.gguf", "--json"]],
  ])("end in an error line for %j", async (argv) => {
    const { exitCode, host } = await runCli({ argv });
    const code = expect.stringMatching(/^[A-Z]+_[A-Z_]+$/);
    expect(host.records).toEqual([expect.objectContaining({ type: "error", code, exitCode })]);
  });

  it.each([
    [["types"]],
    [["models"]],
    [["recipes"]],
    [["recipes", "bnb-nf4"]],
    [["config"]],
    [["doctor", "--offline"]],
    [["inspect", demoCheckpoint]],
    [["plan", demoCheckpoint]],
    [["eval", demoCheckpoint, "--windows", "1", "--dry-run"]],
    [["calibrate", demoCheckpoint, "--dry-run"]],
  ])("of %j are JSON lines with --json, however loud", async (argv) => {
    const cwd = await temporaryFolder();
    const [usual, verbose] = [
      await runCli({ argv: [...argv, "--json"], cwd }),
      await runCli({ argv: [...argv, "--json", "--verbose"], cwd }),
    ];
    expect([usual.exitCode, verbose.exitCode]).toEqual([0, 0]);
    expect(usual.host.records.length).toBeGreaterThan(0);
    expect(verbose.host.records.map(({ type }) => type)).toEqual(usual.host.records.map(({ type }) => type));
  });
});

describe("colours", () => {
  /** The real program, whose output is a pipe. */
  function run(env: Record<string, string>): Promise<string> {
    const script = repositoryPath("apps/converter/bin/quern.js");
    return new Promise((resolve) => {
      execFile(process.execPath, [script, "types"], { env }, (_, stdout, stderr) => resolve(stdout + stderr));
    });
  }

  it("go to terminals alone, unless variables say otherwise", async () => {
    const cases: ReadonlyArray<readonly [Record<string, string>, boolean]> = [
      [{}, false],
      [{ FORCE_COLOR: "1" }, true],
      [{ FORCE_COLOR: "1", TERM: "dumb" }, true],
      [{ FORCE_COLOR: "1", NO_COLOR: "1" }, false],
      [{ FORCE_COLOR: "0" }, false],
    ];
    for (const [env, coloured] of cases) expect((await run(env)).includes(escape)).toBe(coloured);
  });

  it("are in help on a terminal", async () => {
    const help = async (env: Record<string, string>, terminal: boolean): Promise<boolean> =>
      (await runCli({ argv: ["convert", "--help"], env, terminal })).stdout.includes(escape);
    expect(await help({}, true)).toBe(true);
    expect(await help({ TERM: "dumb" }, true)).toBe(false);
    expect(await help({ NO_COLOR: "1" }, true)).toBe(false);
    expect(await help({}, false)).toBe(false);
  });
});
