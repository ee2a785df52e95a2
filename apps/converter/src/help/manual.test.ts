import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createProgram } from "../main.ts";
import { loadCommands } from "../lazy-commands.ts";
import { Sandbox } from "../testing/examples/sandbox.ts";
import { MemoryHost } from "../testing/memory-host.ts";
import { repositoryFiles } from "../testing/repository-files.ts";
import { repositoryPath, runCli } from "../testing/run-cli.ts";
import { ENVIRONMENT } from "./environment.ts";
import { manualOf } from "./manual.ts";

const program = createProgram(new MemoryHost({ cwd: repositoryPath(".") }));
await loadCommands(program);

/** All commands with their names: "imatrix show". */
function allCommands(parent: Command, path: readonly string[] = []): Array<readonly [string, Command]> {
  return parent.commands
    .filter((command) => command.name() !== "help")
    .flatMap((command) => {
      const names = [...path, command.name()];
      return [[names.join(" "), command] as const, ...allCommands(command, names)];
    });
}

const commands = allCommands(program);
const names = commands.map(([name]) => name);

describe("manuals", () => {
  it.each(commands)("quern %s has one", (name, command) => {
    const manual = manualOf(command);
    expect(manual?.examples.length).toBeGreaterThan(0);
    const used = manual!.examples.filter(({ run }) =>
      `${run} `.startsWith(`quern ${name.replace(" compute", "")} `),
    );
    expect(used.length).toBeGreaterThan(0);
    expect((manual!.seeAlso ?? []).filter((other) => !names.includes(other))).toEqual([]);
    expect(manual!.seeAlso ?? []).not.toContain(name);
  });

  it.each(commands)("quern %s says all of it, in lines that fit", async (name, command) => {
    for (const columns of [60, 100]) {
      const { exitCode, stdout } = await runCli({ argv: ["help", ...name.split(" ")], columns });
      expect(exitCode).toBe(0);
      for (const title of ["Usage:", "Examples:", "See also:"])
        expect(stdout).toContain(`\n${title}`.trimStart());
      expect(stdout).toMatch(/quern\s+help\s+exit-codes\n$/);
      for (const [code, meaning] of Object.entries(manualOf(command)!.exitCodes ?? {})) {
        expect(stdout.replaceAll(/\s+/g, " ")).toContain(` ${code} ${meaning}`);
      }
      for (const { run } of manualOf(command)!.examples) expect(stdout).toContain(`  ${run}\n`);
      const text = stdout.slice(0, stdout.indexOf("\nExamples:")).split("\n").slice(1);
      expect(text.filter((line) => line.length > columns)).toEqual([]);
    }
  });

  it("list every variable of the environment that the sources look at", () => {
    const found = new Set<string>();
    for (const file of ["packages", "apps"].flatMap(repositoryFiles)) {
      if (!/\/src\/.*\.ts$/.test(file) || /\.test\.ts$|\/testing\//.test(file)) continue;
      const text = readFileSync(repositoryPath(file), "utf8");
      for (const [, name] of text.matchAll(/\benv(?:ironment)?(?:\[|, )"([A-Z_]+)"/g)) found.add(name!);
    }
    expect(found.size).toBeGreaterThan(8);
    // HOME is what the system says, not what users set for us.
    expect([...found].filter((name) => !(name in ENVIRONMENT) && name !== "HOME")).toEqual([]);
  });
});

describe("examples of manuals", () => {
  let sandbox: Sandbox;
  beforeAll(async () => {
    sandbox = await Sandbox.open();
  });
  afterAll(async () => sandbox?.close());

  it.concurrent.each([["", program] as const, ...commands])(
    "quern %s",
    { timeout: 600_000 },
    async (_, command) => {
      const folder = await sandbox.folder();
      for (const { run } of manualOf(command)!.examples) {
        if (!sandbox.canRun(run)) continue;
        const { code, output } = await sandbox.run(run, folder);
        expect(code, `${run}\n${output}`).toBe(0);
      }
    },
  );
});
